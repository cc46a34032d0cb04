"""The inventory: reserves stock and releases it. Remembers every answer under its key, refusals too.

`POST /reservations` {order, sku, quantity} · `POST /releases` {order, reservation} · `GET /reservations/by-key/KEY` ·
`GET /releases/by-key/KEY`. What it does not have it refuses with 422 `sold_out`.
"""

from functools import partial

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..orders import SOLD_OUT  # noqa: TID252
from .admin import main
from .desk import Desk, Done, Refusal, Remembers


class Reserve(BaseModel):
    """Hold so many of an article for an order."""

    order: str
    sku: str
    quantity: int


class Release(BaseModel):
    """Give back what was held."""

    order: str
    reservation: str


def routes(desk: Desk) -> list[Route]:
    """The business of the inventory."""

    async def reserve(request: Request) -> Response:
        asked = Reserve.model_validate_json(await request.body())

        def decide() -> Done | Refusal:
            if asked.sku == SOLD_OUT:
                return Refusal(422, "sold_out", "there is none left")
            return Done("reservation", "res", {"sku": asked.sku, "quantity": asked.quantity})

        return await desk.serve(request, "reserve", asked.order, decide)

    async def release(request: Request) -> Response:
        asked = Release.model_validate_json(await request.body())

        def decide() -> Done | Refusal:
            if not desk.ledger.holds(asked.reservation, "reservation"):
                return Refusal(422, "unknown_reservation", f"there is no reservation {asked.reservation}")
            # A second release under another key is done again: the ledger shows what was sent, and hides no mistake.
            return Done("release", "rel", {"reservation": asked.reservation}, undoes=asked.reservation)

        return await desk.serve(request, "release", asked.order, decide)

    return [
        Route("/reservations", reserve, methods=["POST"]),
        Route("/releases", release, methods=["POST"]),
        Route("/reservations/by-key/{key}", partial(desk.serve_status, operation="reserve")),
        Route("/releases/by-key/{key}", partial(desk.serve_status, operation="release")),
    ]


if __name__ == "__main__":
    main("inventory", Remembers.ALL, routes)

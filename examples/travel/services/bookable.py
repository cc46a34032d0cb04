"""What an airline and a hotel have in common: something is booked, and a booking is cancelled.

`POST /bookings` {trip, what} · `POST /cancellations` {trip, booking} · `GET /bookings/by-key/KEY` ·
`GET /cancellations/by-key/KEY`. Every answer is remembered under its key, refusals too. What is not to be had is
refused with 422 `fully_booked`.
"""

from functools import partial

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from examples.checkout.services.admin import main
from examples.checkout.services.desk import Desk, Done, Refusal, Remembers
from examples.travel.bookings import FULLY_BOOKED


class Book(BaseModel):
    """Hold one of these for a trip."""

    trip: str
    what: str


class Cancel(BaseModel):
    """Give back what was held."""

    trip: str
    booking: str


def run(name: str, thing: str) -> None:
    """The service `name`, which books a `thing`: its operations are `thing` and `cancel_thing`."""
    main(name, Remembers.ALL, lambda desk: _routes(desk, thing))


def _routes(desk: Desk, thing: str) -> list[Route]:
    async def book(request: Request) -> Response:
        asked = Book.model_validate_json(await request.body())

        def decide() -> Done | Refusal:
            if asked.what == FULLY_BOOKED:
                return Refusal(422, "fully_booked", f"there is no {thing} left")
            return Done(thing, thing, {"what": asked.what})

        return await desk.serve(request, thing, asked.trip, decide)

    async def cancel(request: Request) -> Response:
        asked = Cancel.model_validate_json(await request.body())

        def decide() -> Done | Refusal:
            if not desk.ledger.holds(asked.booking, thing):
                return Refusal(422, "unknown_booking", f"there is no booking {asked.booking}")
            # A second cancellation under another key is done again: the ledger shows what was sent, and hides no mistake.
            return Done(f"cancel_{thing}", "cancel", {"booking": asked.booking}, undoes=asked.booking)

        return await desk.serve(request, f"cancel_{thing}", asked.trip, decide)

    return [
        Route("/bookings", book, methods=["POST"]),
        Route("/cancellations", cancel, methods=["POST"]),
        Route("/bookings/by-key/{key}", partial(desk.serve_status, operation=thing)),
        Route("/cancellations/by-key/{key}", partial(desk.serve_status, operation=f"cancel_{thing}")),
    ]

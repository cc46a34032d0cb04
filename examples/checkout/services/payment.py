"""The payment service: charges cards and refunds charges. Remembers successes only.

`POST /charges` {order, card, amount} · `POST /refunds` {order, charge, amount} · `GET /charges/by-key/KEY` ·
`GET /refunds/by-key/KEY`. A refusal (402 `card_declined`, `insufficient_funds`) is decided anew at every request and
known under no key: after one, the status route still answers 404.
"""

from decimal import Decimal
from functools import partial

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..orders import CARD_DECLINED, CARD_WITHOUT_FUNDS  # noqa: TID252
from .admin import main
from .desk import Desk, Done, Refusal, Remembers

REFUSALS = {
    CARD_DECLINED: Refusal(402, "card_declined", "the card's bank declines"),
    CARD_WITHOUT_FUNDS: Refusal(402, "insufficient_funds", "the card has not enough money"),
}


class Charge(BaseModel):
    """Take an amount from a card for an order."""

    order: str
    card: str
    amount: Decimal


class Refund(BaseModel):
    """Give an amount of a charge back."""

    order: str
    charge: str
    amount: Decimal


def routes(desk: Desk) -> list[Route]:
    """The business of the payment service."""

    async def charge(request: Request) -> Response:
        asked = Charge.model_validate_json(await request.body())

        def decide() -> Done | Refusal:
            return REFUSALS.get(asked.card) or Done("charge", "pay", {"amount": str(asked.amount)})

        return await desk.serve(request, "charge", asked.order, decide)

    async def refund(request: Request) -> Response:
        asked = Refund.model_validate_json(await request.body())

        def decide() -> Done | Refusal:
            if not desk.ledger.holds(asked.charge, "charge"):
                return Refusal(422, "unknown_charge", f"there is no charge {asked.charge}")
            # A second refund under another key is done again: the ledger shows what was sent, and hides no mistake.
            answer = {"amount": str(asked.amount), "charge": asked.charge}
            return Done("refund", "ref", answer, undoes=asked.charge)

        return await desk.serve(request, "refund", asked.order, decide)

    return [
        Route("/charges", charge, methods=["POST"]),
        Route("/refunds", refund, methods=["POST"]),
        Route("/charges/by-key/{key}", partial(desk.serve_status, operation="charge")),
        Route("/refunds/by-key/{key}", partial(desk.serve_status, operation="refund")),
    ]


if __name__ == "__main__":
    main("payment", Remembers.SUCCESSES, routes)

"""An order above the limit: the stock is held, somebody must approve, and only then the card is charged.

The steps are the checkout's, with their ways to ask and to undo; what is new is the waiting, and it needs no service.
"""

from dataclasses import dataclass
from datetime import datetime

import saga
from examples.checkout.orders import Order
from examples.checkout.sagas import charge, confirm, reserve
from saga import Engine, Refused, Signal

TIME_TO_APPROVE = "6s"  # "4h", in earnest
COOLING_OFF = "3s"  # "14d"


@dataclass(frozen=True, slots=True)
class Approval:
    """What the manager says."""

    by: str
    granted: bool


@dataclass(frozen=True, slots=True)
class Approved:
    """What the customer gets in the end."""

    order: str
    payment: str
    by: str
    at: datetime


approval = Signal("approval", Approval)


@saga.saga("large-order", version=1, deadline="30d")
async def large_order(order: Order) -> Approved:
    """Nobody pays what nobody has approved; and what was held for it is given back."""
    await reserve(order.id, order.sku, order.quantity)
    said = await approval.wait(timeout=TIME_TO_APPROVE)
    at = saga.now()
    if not said.granted:
        raise Refused("not_approved", f"by {said.by}")
    paid = await charge(order.id, order.card, order.total)
    await saga.sleep(COOLING_OFF)
    await confirm(order.id, order.email).or_none()
    return Approved(order.id, paid.id, said.by, at)


engine = Engine(sagas=[large_order])

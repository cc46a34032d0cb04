"""The values that travel between the shop, its saga and the services. Nothing here does anything."""

from dataclasses import dataclass
from decimal import Decimal

SOLD_OUT = "sku-sold-out"
"""An article of which the inventory has none: reserving it is refused, always."""

CARD_DECLINED = "4000-0000-0000-0002"
CARD_WITHOUT_FUNDS = "4000-0000-0000-9995"
"""Cards that the payment service refuses, always: it decides anew each time, and decides alike."""

CARD_GOOD = "4242-4242-4242-4242"


@dataclass(frozen=True, slots=True)
class Order:
    """What a customer wants. `id` is the business reference under which every service books."""

    id: str
    sku: str
    quantity: int
    card: str
    total: Decimal
    email: str


@dataclass(frozen=True, slots=True)
class Reservation:
    """Stock that the inventory holds for one order."""

    id: str
    sku: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Payment:
    """Money that was taken, or an invoice that will bring it."""

    id: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the customer gets in the end."""

    order: str
    payment: str
    mailed: bool

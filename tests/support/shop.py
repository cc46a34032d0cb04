"""Steps for tests of the definitions: one of every usual kind, that never really call anything."""

from dataclasses import dataclass, field
from decimal import Decimal

from saga import Answer, Call, Landed, NotFound, Service, step

psp = Service("psp", remembers="all", key_lifetime="24h")
mail = Service("mail")


@dataclass
class Payment:
    id: str
    amount: Decimal
    notes: list[str] = field(default_factory=list)


@step(psp, timeout="10s")
async def charge(call: Call, card: str, amount: Decimal = Decimal(1)) -> Payment:
    return Payment(f"{card}/{call.key}", amount)


@charge.status
async def charge_status(call: Call, card: str, amount: Decimal = Decimal(1)) -> Answer[Payment]:
    return Landed(Payment(card, amount)) if call.attempt > 1 else NotFound()


@charge.compensate
async def refund(call: Call, payment: Payment, card: str, amount: Decimal = Decimal(1)) -> None:
    assert call.effect_key is not None
    assert payment.amount == amount
    assert card


@refund.status
def refund_status(call: Call, *_: object, **__: object) -> Answer[None]:
    return Landed(None)


@step(psp, timeout="5s", undo="nothing")
def invoice(call: Call, customer: str) -> Payment:
    return Payment(customer, Decimal(0))


@step(mail, timeout="3s", undo="nothing", repeatable=True)
async def confirm(call: Call, email: str, notes: list[str]) -> None: ...

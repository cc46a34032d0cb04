"""The interface as a user writes it, which mypy and basedpyright, both strict, infer with no plugin and no error.

Checked by test_typing.py, and never run: the bodies are as short as their types allow.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, assert_type
from uuid import UUID

from saga import (
    Answer,
    Call,
    Engine,
    Fenced,
    Handle,
    Landed,
    NotExecuted,
    NotFound,
    Pending,
    Refused,
    Retry,
    SagaDefinition,
    Service,
    Signal,
    Step,
    StepCall,
    StepFailed,
    new_uuid,
    now,
    random,
    saga,
    sleep,
    step,
    together,
)
from saga.http import blocking_client, classify, client


@dataclass
class Order:
    id: str
    sku: str
    quantity: int
    card: str
    total: Decimal
    customer: str
    email: str


@dataclass
class Reservation:
    id: str


@dataclass
class Payment:
    id: str


@dataclass
class Receipt:
    order: str
    payment: str


psp = Service("psp", remembers="all", key_lifetime="24h", lateness="30s", staleness="0s", classify=classify)
stock = Service("stock", remembers="all", key_lifetime="7d", lateness="10s", classify=classify)
billing = Service("billing", remembers="all", key_lifetime="7d", classify=classify)
mail = Service("mail", classify=classify)
http = client("https://psp.example")
mails = blocking_client(lambda: "https://mail.example")


@step(stock, timeout="5s")
async def reserve(call: Call, sku: str, quantity: int) -> Reservation:
    reply = await http.post(
        "/reservations", json={"sku": sku, "quantity": quantity}, headers={"Idempotency-Key": call.key}
    )
    reply.raise_for_status()
    return Reservation(**reply.json())


@reserve.status
async def reservation_status(call: Call, sku: str, quantity: int) -> Answer[Reservation]:
    reply = await http.get(f"/reservations/by-key/{call.key}", params={"sku": sku, "quantity": quantity})
    return NotFound() if reply.status_code == 404 else Landed(Reservation(**reply.json()))


@reserve.compensate
async def unreserve(call: Call, reservation: Reservation, sku: str, quantity: int) -> None: ...


@step(psp, timeout="10s", retry=Retry(attempts=5, first="200ms", most="30s"), settle_within="1h")
async def charge(call: Call, card: str, amount: Decimal) -> Payment:
    call.check()
    return Payment(f"{card}{amount}")


@charge.status
async def charge_status(call: Call, card: str, amount: Decimal) -> Answer[Payment]:
    match call.attempt:
        case 1:
            return Pending(retry_after=1.5)
        case 2:
            return Fenced()
        case 3:
            return Refused("card_declined")
        case _:
            return Landed(Payment(card))


@charge.compensate
async def refund(call: Call, payment: Payment, card: str, amount: Decimal) -> None: ...


@refund.status
async def refund_status(call: Call, payment: Payment, card: str, amount: Decimal) -> Answer[None]:
    return Landed(None)


@step(billing, timeout="5s", undo="nothing")
async def invoice_later(call: Call, customer: str, amount: Decimal) -> Payment:
    return Payment(customer)


@step(mail, timeout="3s", undo="nothing", repeatable=True, retry=Retry(attempts=10, give_up="1h"))
def confirm(call: Call, email: str, payment: Payment) -> None:
    mails.post("/mails", json={"to": email, "payment": payment.id}).raise_for_status()


@step(mail, timeout="3s", reads=True)
def quota(call: Call, *, day: str = "today") -> int:
    return 3


@step(stock, timeout="3s")
def hold(call: Call, sku: str) -> str:
    return sku


@hold.status
def hold_status(*_: object, **__: object) -> Answer[str]:
    return NotFound()


@hold.compensate
def unhold(call: Call, held: str, *_: object, **__: object) -> None: ...


@saga("checkout", version=1, deadline="30m")
async def checkout(order: Order) -> Receipt:
    await reserve(order.sku, order.quantity)
    payment = await charge(order.card, order.total).or_else(
        lambda: invoice_later(order.customer, order.total)
    )
    await confirm(order.email, payment).or_none()
    return Receipt(order.id, payment.id)


async def pay_in_cash() -> Payment:
    return Payment("cash")


@saga("parallel", steps=[hold])
async def parallel(order: Order) -> int:
    reservation, payment = await together(reserve(order.sku, order.quantity), charge(order.card, order.total))
    assert_type(reservation, Reservation)
    assert_type(payment, Payment)
    six = await together(
        hold("a"), quota(), confirm("b", payment), hold("d"), quota(day="e"), charge("f", order.total)
    )
    assert_type(six, tuple[str, int, None, str, int, Payment])
    many = await together(*[quota() for _ in range(10)])
    assert_type(many, tuple[int, ...])
    left, right = await asyncio.gather(quota(), hold("x"))
    assert_type(left, int)
    assert_type(right, str)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(charge(order.card, order.total))
    assert_type(await task, Payment)
    return left


@saga("fallbacks")
async def fallbacks(order: Order) -> str | None:
    call: StepCall[Payment] = charge(order.card, order.total)
    assert_type(await call.or_else(pay_in_cash), Payment)
    assert_type(await charge("c", order.total).or_else(lambda: Payment("free"), on=StepFailed), Payment)
    assert_type(await hold("x").or_none(), str | None)
    assert_type(await quota().last_good(max_age="1h"), int)
    assert_type(await quota().last_good(max_age=timedelta(hours=1), key="all").or_none(), int | None)
    assert_type(await hold("x").or_else(lambda: hold("y"), on=Refused).or_none(), str | None)
    try:
        await confirm(order.email, Payment("p"))
    except NotExecuted as down:
        assert_type(down.retry_after, float | None)
    except Refused as refused:
        raise Refused(refused.code, "no mail, no order") from refused
    return None


payment_seen = Signal("payment_seen", Payment)


@saga("waiting")
async def waiting(order: Order) -> Payment:
    await sleep("3d")
    assert_type(now(), datetime)
    assert_type(new_uuid(), UUID)
    assert_type(random(), float)
    paid = await payment_seen.wait(timeout="4h")
    assert_type(paid, Payment)
    first, _ = await together(payment_seen.wait(), sleep("1d"))
    assert_type(first, Payment)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(payment_seen.wait())
    return await task


async def tell(engine: Engine) -> None:
    await engine.send(waiting, payment_seen, Payment("p"), to="order:1", key="webhook:1")
    await engine.handle(waiting, key="order:1").send(payment_seen, Payment("p"))
    engine.blocking.handle(waiting, key="order:1").send(payment_seen, Payment("p"), key="webhook:1")


async def start(engine: Engine, order: Order) -> None:
    assert_type(checkout, SagaDefinition[Order, Receipt])
    handle = await engine.start(checkout, order, key=f"order:{order.id}")
    assert_type(handle, Handle[Receipt])
    assert_type(await handle.result(timeout="1m"), Receipt)
    assert_type(await (await engine.start(parallel, order, key="k")).result(), int)
    assert_type(await charge.body(Call.fake(key="k"), "card", Decimal(1)), Payment)
    assert_type(await hold.body(Call.fake(), sku="x"), str)


def every_kind() -> list[Step[..., Any]]:
    return [reserve, charge, invoice_later, confirm, quota, hold]

"""The sagas of the chaos run, and what each service promises; `engine` is what the workers serve.

Rules: promises are those that `services` keeps, and so small that every doubt settles in seconds; a step sends once;
what a saga must have done in the end is said once, in `EXPECTED`.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from saga import (
    Answer,
    Call,
    Engine,
    Landed,
    NotExecuted,
    NotFound,
    Refused,
    Retry,
    Service,
    saga,
    step,
    together,
)
from saga.barrier import probe
from saga.definition import SagaDefinition
from saga.http import Client, classify, client
from tests.chaos.stacks import tell_on_signal

LATE, STALE = "2s", "300ms"
stock = Service("stock", remembers="all", key_lifetime="7d", lateness=LATE, staleness="0s", classify=classify)
bank = Service(
    "bank", remembers="successes", key_lifetime="7d", lateness=LATE, staleness="0s", classify=classify
)
courier = Service("courier", lateness=LATE, staleness=STALE, classify=classify)
warehouse = Service(
    "warehouse", remembers="all", key_lifetime="30d", lateness=LATE, staleness="0s", classify=probe.classify
)
again = Retry(attempts=40, first="50ms", most="1s")
few = Retry(attempts=3, first="50ms", most="200ms")
"""So few that a service that is away for a second makes the saga give up: the customer may try again."""

_http = {
    name: client(lambda name=name: os.environ[f"{name.upper()}_URL"])  # type: ignore[misc]
    for name in ("market", "street", "warehouse")
}
_process = {"stock": "market", "bank": "market", "courier": "street", "warehouse": "warehouse"}


@dataclass(frozen=True)
class Order:
    """`id`: under which every service books. `refuse`: the action that will be refused, if any."""

    id: str
    refuse: str | None = None


def _there(service: str) -> Client:
    return _http[_process[service]]


async def _send(service: str, action: str, call: Call, order: Order, **more: str) -> str:
    body: dict[str, Any] = {"saga": order.id, "refuse": order.refuse == action, **more}
    own = service == "warehouse"
    headers = probe.headers(call) if own else {"Idempotency-Key": call.key}
    headers["Request-Deadline"] = str(time.time() + call.remaining())
    reply = await _there(service).post(f"/{service}/{action}", json=body, headers=headers)
    if reply.status_code == HTTPStatus.SERVICE_UNAVAILABLE and reply.json()["error"]["code"] == "down":
        raise NotExecuted("down")
    return str(reply.raise_for_status().json()["id"])


async def _ask(service: str, call: Call) -> Answer[str]:
    reply = await _there(service).get(f"/{service}/{call.key}")
    match reply.status_code:
        case HTTPStatus.NOT_FOUND:
            return NotFound()
        case HTTPStatus.UNPROCESSABLE_ENTITY:
            return Refused(reply.json()["error"]["code"])
        case _:
            return Landed(str(reply.raise_for_status().json()["id"]))


async def _asked_undo(service: str, call: Call) -> Answer[None]:
    answer = await _ask(service, call)
    return Landed(None) if isinstance(answer, Landed) else NotFound()


@step(stock, timeout="1s", retry=again, settle_within="2m")
async def reserve(call: Call, order: Order) -> str:
    return await _send("stock", "reserve", call, order)


@reserve.status
async def reserve_status(call: Call, order: Order) -> Answer[str]:
    return await _ask("stock", call)


@reserve.compensate
async def release(call: Call, held: str, order: Order) -> None:
    await _send("stock", "release", call, order, undoes=held)


@release.status
async def release_status(call: Call, held: str, order: Order) -> Answer[None]:
    return await _asked_undo("stock", call)


@step(bank, timeout="1s", retry=few, settle_within="2m")
async def charge(call: Call, order: Order) -> str:
    return await _send("bank", "charge", call, order)


@charge.status
async def charge_status(call: Call, order: Order) -> Answer[str]:
    return await _ask("bank", call)


@charge.compensate
async def refund(call: Call, paid: str, order: Order) -> None:
    await _send("bank", "refund", call, order, undoes=paid)


@refund.status
async def refund_status(call: Call, paid: str, order: Order) -> Answer[None]:
    return await _asked_undo("bank", call)


@step(courier, timeout="1s", retry=few, settle_within="2m", watch_for="5s", late="compensate")
async def book(call: Call, order: Order) -> str:
    """Nothing dedups there: only asking, and then silence, settles a doubt."""
    return await _send("courier", "book", call, order)


@book.status
async def book_status(call: Call, order: Order) -> Answer[str]:
    return await _ask("courier", call)


@book.compensate
async def recall(call: Call, booked: str, order: Order) -> None:
    await _send("courier", "recall", call, order, undoes=booked)


@recall.status
async def recall_status(call: Call, booked: str, order: Order) -> Answer[None]:
    return await _asked_undo("courier", call)


@step(warehouse, timeout="1s", retry=again, settle_within="2m")
async def store(call: Call, order: Order) -> str:
    return await _send("warehouse", "store", call, order)


_ask_barrier = probe.action_status(_http["warehouse"], dict[str, str])


@store.status
async def store_status(call: Call, order: Order) -> Answer[str]:
    answer = await _ask_barrier(call)
    return Landed(answer.result["id"]) if isinstance(answer, Landed) else answer


@store.compensate
async def put_back(call: Call, stored: str, order: Order) -> None:
    await _send("warehouse", "put_back", call, order)


put_back.status(probe.compensation_status(_http["warehouse"]))


@step(stock, timeout="1s", retry=again, settle_within="2m", undo="nothing", pivot=True)
async def issue(call: Call, order: Order) -> str:
    """From here on the saga only goes forward."""
    return await _send("stock", "issue", call, order)


@issue.status
async def issue_status(call: Call, order: Order) -> Answer[str]:
    return await _ask("stock", call)


@step(courier, timeout="1s", retry=again, settle_within="2m", undo="nothing", watch_for="5s")
async def mail(call: Call, order: Order) -> str:
    return await _send("courier", "mail", call, order)


@mail.status
async def mail_status(call: Call, order: Order) -> Answer[str]:
    return await _ask("courier", call)


@saga("checkout")
async def checkout(order: Order) -> str:
    """Three steps, three kinds of service."""
    await reserve(order)
    await charge(order)
    return await book(order)


@saga("trip")
async def trip(order: Order) -> str:
    """Five steps, the fourth is the pivot."""
    await reserve(order)
    await store(order)
    await charge(order)
    await issue(order)
    return await mail(order)


@saga("bundle")
async def bundle(order: Order) -> list[str]:
    """Three at once, then one that may be refused."""
    three = await together(reserve(order), store(order), charge(order))
    return [*three, await book(order)]


EXPECTED: dict[str, tuple[str, ...]] = {
    "checkout": ("reserve", "charge", "book"),
    "trip": ("reserve", "store", "charge", "issue", "mail"),
    "bundle": ("reserve", "store", "charge", "book"),
}
"""What each saga has done when it is completed, in the order of its steps."""
AT_ONCE = frozenset({"bundle"})
"""Whose steps run side by side, so that a ledger's order says nothing of the order of their starts."""
REFUSABLE: dict[str, tuple[str, ...]] = {
    "checkout": ("reserve", "charge", "book"),
    "trip": ("store", "charge", "issue"),
    "bundle": ("reserve", "store", "book"),
}

tell_on_signal()
engine = Engine(sagas=[checkout, trip, bundle])
SAGAS: dict[str, SagaDefinition[Order, Any]] = {
    definition.name: definition for definition in (checkout, trip, bundle)
}

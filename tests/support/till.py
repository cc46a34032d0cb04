"""The steps of the crash tests: what a purchase asks of the example's services, told as each really behaves.

Rules that hold here: each body first comes to its door (see `doors`), then sends once; what a service promises is
true of the process behind it; the same steps exist for a service that knows no keys and for one that nobody can ask.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx

from saga import (
    Answer,
    Breaker,
    Call,
    Landed,
    NotExecuted,
    NotFound,
    Pending,
    Refused,
    Retry,
    Service,
    step,
)
from saga.http import classify, client
from tests.support.doors import knock

LONG_S = 30.0
"""A service that is down asks to be left alone so long: longer than any test waits for a saga that sleeps."""

inventory = Service(
    "inventory", remembers="all", key_lifetime="7d", lateness="1s", staleness="0s", classify=classify
)
payment = Service(
    "payment", remembers="successes", key_lifetime="7d", lateness="1s", staleness="0s", classify=classify
)
bank = Service(
    "bank", remembers="successes", key_lifetime="7d", lateness="1s", staleness="0s", classify=classify,
    breaker=Breaker(3, "30s", "4s"),
)  # fmt: skip
keyless = Service("keyless", lateness="1s", staleness="0s", classify=classify)
mute = Service("mute", lateness="1s", classify=classify)
post_office = Service("post office", lateness="1s", classify=classify)

again = Retry(attempts=6, first="50ms", most="200ms")
patient = Retry(attempts=6, first="50ms", most="1m")

_http = {
    name: client(lambda name=name: os.environ[f"{name.upper()}_URL"])  # type: ignore[misc]
    for name in ("inventory", "payment", "notification")
}


@dataclass(frozen=True)
class Purchase:
    """`gift`: a second article, reserved after the charge."""

    order: str
    card: str = "4242-4242-4242-4242"
    gift: str | None = None


async def _send(
    place: str, path: str, call: Call, body: dict[str, Any], key: str | None = None
) -> dict[str, Any]:
    # The services drop what would land later than their promised lateness after this.
    headers = {"Idempotency-Key": key or call.key, "Request-Deadline": str(time.time() + call.remaining())}
    reply = await _http[place].post(path, json=body, headers=headers)
    if reply.status_code == HTTPStatus.SERVICE_UNAVAILABLE and reply.json()["error"]["code"] == "down":
        raise NotExecuted("down", LONG_S if path == "/charges" and body.get("patient") else None)
    answer: dict[str, Any] = reply.raise_for_status().json()
    return answer


async def _ask(place: str, path: str) -> dict[str, Any] | None:
    reply = await _http[place].get(path)
    if reply.status_code == HTTPStatus.NOT_FOUND:
        return None
    answer: dict[str, Any] = reply.raise_for_status().json()
    return answer


@step(inventory, timeout="20s", retry=again, settle_within="1m")
async def reserve(call: Call, order: str, sku: str) -> str:
    await knock("reserve", order, call.attempt)
    held = await _send("inventory", "/reservations", call, {"order": order, "sku": sku, "quantity": 1})
    return str(held["id"])


@reserve.status
async def reserve_status(call: Call, order: str, sku: str) -> Answer[str]:
    try:
        found = await _ask("inventory", f"/reservations/by-key/{call.key}")
    except httpx.HTTPStatusError as error:
        if error.response.status_code != HTTPStatus.UNPROCESSABLE_ENTITY:
            raise
        return Refused(error.response.json()["error"]["code"])  # it remembers what it refused
    return NotFound() if found is None else Landed(str(found["id"]))


@reserve.compensate
async def release(call: Call, held: str, order: str, sku: str) -> None:
    await knock("release", order, call.attempt)
    await _send("inventory", "/releases", call, {"order": order, "reservation": held})


@release.status
async def release_status(call: Call, held: str, order: str, sku: str) -> Answer[None]:
    found = await _ask("inventory", f"/releases/by-key/{call.key}")
    return NotFound() if found is None else Landed(None)


@step(payment, timeout="20s", retry=again, settle_within="1m")
async def charge(call: Call, order: str, card: str) -> str:
    await knock("charge", order, call.attempt)
    paid = await _send("payment", "/charges", call, {"order": order, "card": card, "amount": "5"})
    return str(paid["id"])


@charge.status
async def charge_status(call: Call, order: str, card: str) -> Answer[str]:
    found = await _ask("payment", f"/charges/by-key/{call.key}")
    return NotFound() if found is None else Landed(str(found["id"]))


@charge.compensate
async def refund(call: Call, paid: str, order: str, card: str) -> None:
    await knock("refund", order, call.attempt)
    await _send("payment", "/refunds", call, {"order": order, "charge": paid, "amount": "5"})


@refund.status
async def refund_status(call: Call, paid: str, order: str, card: str) -> Answer[None]:
    found = await _ask("payment", f"/refunds/by-key/{call.key}")
    return NotFound() if found is None else Landed(None)


@step(keyless, timeout="2500ms", retry=again, settle_within="1m", watch_for="1m")
async def pay_keyless(call: Call, order: str, card: str) -> str:
    """Each attempt has a key of its own there: nothing dedups, and the service can still be asked."""
    await knock("pay_keyless", order, call.attempt)
    body = {"order": order, "card": card, "amount": "5"}
    paid = await _send("payment", "/charges", call, body, f"{call.key}-{call.attempt}")
    return str(paid["id"])


@pay_keyless.status
async def pay_keyless_status(call: Call, order: str, card: str) -> Answer[str]:
    for attempt in range(1, call.attempt + 1):
        found = await _ask("payment", f"/charges/by-key/{call.key}-{attempt}")
        if found is not None:
            return Landed(str(found["id"]))
    return NotFound()


@pay_keyless.compensate
async def refund_keyless(call: Call, paid: str, order: str, card: str) -> None:
    await _send("payment", "/refunds", call, {"order": order, "charge": paid, "amount": "5"}, call.key)


@refund_keyless.status
async def refund_keyless_status(call: Call, paid: str, order: str, card: str) -> Answer[None]:
    found = await _ask("payment", f"/refunds/by-key/{call.key}")
    return NotFound() if found is None else Landed(None)


@step(mute, timeout="20s", at_most_once=True)
async def pay_mute(call: Call, order: str, card: str) -> str:
    """Nobody can be asked, and nothing is remembered."""
    await knock("pay_mute", order, call.attempt)
    body = {"order": order, "card": card, "amount": "5"}
    return str((await _send("payment", "/charges", call, body, f"{call.key}-{call.attempt}"))["id"])


@pay_mute.compensate
async def refund_mute(call: Call, paid: str, order: str, card: str) -> None:
    await _send("payment", "/refunds", call, {"order": order, "charge": paid, "amount": "5"})


@refund_mute.status
async def refund_mute_status(call: Call, paid: str, order: str, card: str) -> Answer[None]:
    found = await _ask("payment", f"/refunds/by-key/{call.key}")
    return NotFound() if found is None else Landed(None)


@step(payment, timeout="20s", retry=patient, settle_within="1m")
async def pay_later(call: Call, order: str, card: str) -> str:
    """A service that is down is left alone for long: the saga sleeps."""
    await knock("pay_later", order, call.attempt)
    body = {"order": order, "card": card, "amount": "5", "patient": True}
    return str((await _send("payment", "/charges", call, body))["id"])


@pay_later.status
async def pay_later_status(call: Call, order: str, card: str) -> Answer[str]:
    found = await _ask("payment", f"/charges/by-key/{call.key}")
    return NotFound() if found is None else Landed(str(found["id"]))


@pay_later.compensate
async def refund_later(call: Call, paid: str, order: str, card: str) -> None:
    await _send("payment", "/refunds", call, {"order": order, "charge": paid, "amount": "5"})


@step(post_office, timeout="20s", retry=again, undo="nothing", repeatable=True)
async def invoice(call: Call, order: str) -> str:
    await knock("invoice", order, call.attempt)
    mail = await _send(
        "notification", "/mails", call, {"order": order, "to": "a@example.org", "subject": "pay later"}
    )
    return str(mail["id"])


@step(payment, timeout="20s", retry=again, settle_within="1m")
async def pay_slowly(call: Call, order: str, card: str) -> str:
    """A service that never knows yet what became of a charge: the saga sleeps in doubt."""
    await knock("pay_slowly", order, call.attempt)
    return str(
        (await _send("payment", "/charges", call, {"order": order, "card": card, "amount": "5"}))["id"]
    )


@pay_slowly.status
async def pay_slowly_status(call: Call, order: str, card: str) -> Answer[str]:
    await knock("pay_slowly_status", order, call.attempt)
    return Pending(LONG_S)


@pay_slowly.compensate
async def refund_slowly(call: Call, paid: str, order: str, card: str) -> None:
    await _send("payment", "/refunds", call, {"order": order, "charge": paid, "amount": "5"})


@step(bank, timeout="20s", retry=again, settle_within="1m")
async def pay_at_bank(call: Call, order: str, card: str) -> str:
    """The same charges, of a service with a breaker."""
    paid = await _send("payment", "/charges", call, {"order": order, "card": card, "amount": "5"})
    return str(paid["id"])


@pay_at_bank.status
async def pay_at_bank_status(call: Call, order: str, card: str) -> Answer[str]:
    found = await _ask("payment", f"/charges/by-key/{call.key}")
    return NotFound() if found is None else Landed(str(found["id"]))


@pay_at_bank.compensate
async def refund_at_bank(call: Call, paid: str, order: str, card: str) -> None:
    await _send("payment", "/refunds", call, {"order": order, "charge": paid, "amount": "5"})

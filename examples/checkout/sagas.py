"""The checkout: reserve the stock, charge the card, write the mail. What each service promises stands here, once.

Rules: a step sends once and tells what it knows; a 503 in these services' own error format is proof that nothing was
done, because they say so. The services' addresses come from the environment
(`INVENTORY_URL`, `PAYMENT_URL`, `NOTIFICATION_URL`) and are read at the first call.
"""

import os
import time
from decimal import Decimal
from http import HTTPStatus

import httpx

from saga import Answer, Call, Landed, NotExecuted, NotFound, Refused, Retry, Service, saga, step
from saga.http import classify, client

from .orders import Order, Payment, Receipt, Reservation

# The services drop what would land later than a second after its deadline, and answer by key from the ledger itself.
inventory = Service(
    "inventory", remembers="all", key_lifetime="7d", lateness="1s", staleness="0s", classify=classify
)
payment = Service(
    "payment", remembers="successes", key_lifetime="7d", lateness="1s", staleness="0s", classify=classify
)
notification = Service("notification", lateness="1s", classify=classify)

again = Retry(attempts=6, first="100ms", most="1s")

_http = {
    "inventory": client(lambda: os.environ["INVENTORY_URL"]),
    "payment": client(lambda: os.environ["PAYMENT_URL"]),
    "notification": client(lambda: os.environ["NOTIFICATION_URL"]),
}


async def _post(service: str, path: str, call: Call, body: dict[str, str | int]) -> httpx.Response:
    """Sends once, and raises what the reply proves or leaves open; `classify` knows a refusal when it sees one."""
    headers = {"Idempotency-Key": call.key, "Request-Deadline": str(time.time() + call.remaining())}
    reply = await _http[service].post(path, json=body, headers=headers)
    if reply.status_code == HTTPStatus.SERVICE_UNAVAILABLE and _error(reply)["code"] == "down":
        raise NotExecuted(_error(reply)["message"])
    return reply.raise_for_status()


async def _ask(service: str, path: str) -> httpx.Response:
    """A question by key. 404 and a stored refusal are answers; anything else that is no success is a failed probe."""
    reply = await _http[service].get(path)
    if reply.status_code not in (HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY):
        reply.raise_for_status()
    return reply


def _error(reply: httpx.Response) -> dict[str, str]:
    error: dict[str, str] = reply.json()["error"]
    return error


def _reservation(reply: httpx.Response) -> Reservation:
    body = reply.json()
    return Reservation(body["id"], body["sku"], body["quantity"])


def _payment(reply: httpx.Response) -> Payment:
    body = reply.json()
    return Payment(body["id"], Decimal(body["amount"]))


@step(inventory, timeout="800ms", retry=again, settle_within="1m")
async def reserve(call: Call, order: str, sku: str, quantity: int) -> Reservation:
    """Holds the stock for an order."""
    body: dict[str, str | int] = {"order": order, "sku": sku, "quantity": quantity}
    return _reservation(await _post("inventory", "/reservations", call, body))


@reserve.status
async def reservation_status(call: Call, order: str, sku: str, quantity: int) -> Answer[Reservation]:
    """The inventory remembers refusals too, so that one is an answer."""
    del order, sku, quantity
    reply = await _ask("inventory", f"/reservations/by-key/{call.key}")
    match reply.status_code:
        case HTTPStatus.NOT_FOUND:
            return NotFound()
        case HTTPStatus.UNPROCESSABLE_ENTITY:
            return Refused(_error(reply)["code"], _error(reply)["message"])
        case _:
            return Landed(_reservation(reply))


@reserve.compensate
async def release(call: Call, reservation: Reservation, order: str, sku: str, quantity: int) -> None:
    """Gives the stock back."""
    del sku, quantity
    await _post("inventory", "/releases", call, {"order": order, "reservation": reservation.id})


@release.status
async def release_status(
    call: Call, reservation: Reservation, order: str, sku: str, quantity: int
) -> Answer[None]:
    """Whether the stock was given back."""
    del reservation, order, sku, quantity
    reply = await _ask("inventory", f"/releases/by-key/{call.key}")
    return Landed(None) if reply.status_code == HTTPStatus.OK else NotFound()


@step(payment, timeout="800ms", retry=again, settle_within="1m")
async def charge(call: Call, order: str, card: str, amount: Decimal) -> Payment:
    """Takes the money."""
    body: dict[str, str | int] = {"order": order, "card": card, "amount": str(amount)}
    return _payment(await _post("payment", "/charges", call, body))


@charge.status
async def charge_status(call: Call, order: str, card: str, amount: Decimal) -> Answer[Payment]:
    """The payment service remembers successes only: 404 may be a refusal, or a charge that is still on its way."""
    del order, card, amount
    reply = await _ask("payment", f"/charges/by-key/{call.key}")
    return Landed(_payment(reply)) if reply.status_code == HTTPStatus.OK else NotFound()


@charge.compensate
async def refund(call: Call, paid: Payment, order: str, card: str, amount: Decimal) -> None:
    """Gives the money back."""
    del card, amount
    await _post("payment", "/refunds", call, {"order": order, "charge": paid.id, "amount": str(paid.amount)})


@refund.status
async def refund_status(call: Call, paid: Payment, order: str, card: str, amount: Decimal) -> Answer[None]:
    """Whether the money was given back."""
    del paid, order, card, amount
    reply = await _ask("payment", f"/refunds/by-key/{call.key}")
    return Landed(None) if reply.status_code == HTTPStatus.OK else NotFound()


@step(notification, timeout="800ms", retry=again, settle_within="1m", undo="nothing", repeatable=True)
async def confirm(call: Call, order: str, email: str) -> str:
    """Thanks the customer. Twice is better than never, and there is no way to ask: the step is repeatable."""
    body: dict[str, str | int] = {"order": order, "to": email, "subject": f"Thank you for order {order}"}
    mail: str = (await _post("notification", "/mails", call, body)).json()["id"]
    return mail


@step(notification, timeout="800ms", retry=again, settle_within="1m", undo="nothing", repeatable=True)
async def invoice_later(call: Call, order: str, email: str, amount: Decimal) -> Payment:
    """Asks for the money by letter. A second letter about the same invoice asks for nothing more."""
    body: dict[str, str | int] = {"order": order, "to": email, "subject": f"Invoice {order}: {amount}"}
    await _post("notification", "/mails", call, body)
    return Payment(f"invoice:{order}", amount)


@saga("checkout", version=1, deadline="10m")
async def checkout(order: Order) -> Receipt:
    """An order is paid and held, or nothing of it stands."""
    await reserve(order.id, order.sku, order.quantity)
    paid = await charge(order.id, order.card, order.total)
    mail = await confirm(order.id, order.email).or_none()
    return Receipt(order.id, paid.id, mailed=mail is not None)


@saga("checkout-on-account", version=1, deadline="10m")
async def checkout_on_account(order: Order) -> Receipt:
    """The same for customers whom the shop trusts: where the payment service cannot be had, they pay later."""
    await reserve(order.id, order.sku, order.quantity)
    paid = await charge(order.id, order.card, order.total).or_else(
        lambda: invoice_later(order.id, order.email, order.total)
    )
    mail = await confirm(order.id, order.email).or_none()
    return Receipt(order.id, paid.id, mailed=mail is not None)

"""Ready probes: `.status` handlers for providers that document a call which finds what we sent.

    charge.status(stripe_charges(http, read=lambda found: Payment(found["id"])))

Rules that hold here: what is asked for is found by something that the step sent with the request, which each
docstring names; a list is read to its end, because "not found" on a first page is no answer; anything that
is neither landed, refused nor pending raises, and so is no evidence (S21). There is none for Adyen, for
Square and for Stripe v2: Adyen documents no such call, Square's list cannot be asked by our reference, and
the lists of Stripe v2 lag by an unpublished time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from urllib.parse import quote

from saga.answers import Answer, Fenced, Landed, NotFound, Pending
from saga.call import Call
from saga.errors import Refused

if TYPE_CHECKING:  # httpx is an extra, and a profile needs none
    import httpx

    from saga.http import Client
    from saga.service import Service

T = TypeVar("T")
Found: TypeAlias = dict[str, Any]
"""What a service gave, as its JSON says it."""
Params: TypeAlias = dict[str, str | int | float | bool | None]
Probe: TypeAlias = Callable[..., Awaitable[Answer[T]]]

PAGE = 100
"""How many entries are asked for at once: the most that these providers give."""


def probe_by_key(
    client: Client | httpx.AsyncClient,
    path: str,
    read: Callable[[Any], T],
    *,
    service: Service | None = None,
) -> Probe[T]:
    """A probe for a service that can be asked by the idempotency key, such as one of your own.

    GET path: 200 and the result, 202 for pending, 404 for not found. Where `service` promises `voids_by_key`
    and the saga does not want the effect any more, it is POST path?fence=1 instead: 410 says that the key is
    void for good, 200 that it had landed; and a 410 to the GET says the same (S15).

    Args:
        client: of the service.
        path: with `{key}` where the key belongs, such as "/payments/by-key/{key}".
        read: the result, from the JSON of the reply.
        service: the step's service, for its promise to void keys.
    """

    async def by_key(call: Call, *_: object, **__: object) -> Answer[T]:
        where = path.format(key=quote(call.key, safe=""))
        voids = service is not None and service.promises.voids_by_key
        if voids and not call.wanted:
            reply = await client.post(where, params={"fence": "1"})
        else:
            reply = await client.get(where)
        match reply.status_code:
            case HTTPStatus.OK:
                return Landed(read(reply.json()))
            case HTTPStatus.ACCEPTED:
                return Pending(_retry_after(reply))
            case HTTPStatus.GONE if voids:
                return Fenced()
            case HTTPStatus.NOT_FOUND if call.wanted or not voids:
                return NotFound()
            case _:
                raise _unread(reply)

    return by_key


def stripe_charges(client: Client | httpx.AsyncClient, read: Callable[[Found], T]) -> Probe[T]:
    """A probe for charges and confirmed PaymentIntents of Stripe's API v1.

    The step sends `transfer_group=call.key`. Top-level lists of v1 do not lag, other than Search, which may by
    an hour (https://docs.stripe.com/api/charges/list, https://docs.stripe.com/api-v2-overview).

    Args:
        client: of api.stripe.com, with the secret key.
        read: the step's result, from one charge.
    """

    async def charges(call: Call, *_: object, **__: object) -> Answer[T]:
        found = [one async for one in _stripe_pages(client, "/v1/charges", {"transfer_group": call.key})]
        return _one_of(
            sorted(found, key=lambda one: int(one["created"])),
            read,
            landed={"succeeded"},
            pending={"pending"},
            refused={"failed"},
            why=lambda one: (str(one.get("failure_code")), str(one.get("failure_message"))),
        )

    return charges


def checkout_payments(client: Client | httpx.AsyncClient, read: Callable[[Found], T]) -> Probe[T]:
    """A probe for payments of Checkout.com.

    The step sends `reference=call.key`. How far the list may lag is not published, so the profile says 5 min
    (https://www.checkout.com/docs/payments/manage-payments/get-a-list-of-payments).

    Args:
        client: of api.checkout.com, with the secret key.
        read: the step's result, from one payment.
    """

    async def payments(call: Call, *_: object, **__: object) -> Answer[T]:
        found: list[Found] = []
        total = 1
        while len(found) < total:
            asked: Params = {"reference": call.key, "limit": PAGE, "skip": len(found)}
            page = _body(await client.get("/payments", params=asked))
            total = int(page["total_count"])
            found += page["data"]
            if not page["data"]:
                break
        return _one_of(
            sorted(found, key=lambda one: str(one["requested_on"])),
            read,
            landed={"Authorized", "Captured", "Partially Captured", "Card Verified", "Paid"},
            pending={"Pending"},
            refused={"Declined"},
            why=lambda one: (str(one.get("response_code")), str(one.get("response_summary"))),
        )

    return payments


def paypal_capture(
    client: Client | httpx.AsyncClient, read: Callable[[Found], T], *, order: str = "order_id"
) -> Probe[T]:
    """A probe for the capture of a PayPal order whose id the step was given.

    An order is created in a step before; PayPal has no call that finds one by our key, so the creation itself
    has no probe, and is sent again with the same key (https://developer.paypal.com/docs/api/orders/v2/).

    Args:
        client: of api-m.paypal.com, with an access token.
        read: the step's result, from one capture.
        order: the name of the step's parameter that holds the order's id.
    """

    async def capture(_: Call, *__: object, **given: object) -> Answer[T]:
        reply = await client.get(f"/v2/checkout/orders/{quote(str(given[order]), safe='')}")
        units = _body(reply).get("purchase_units", [])
        found = [one for unit in units for one in unit.get("payments", {}).get("captures", [])]
        return _one_of(
            sorted(found, key=lambda one: str(one["create_time"])),
            read,
            landed={"COMPLETED", "PARTIALLY_REFUNDED", "REFUNDED"},
            pending={"PENDING"},
            refused={"DECLINED", "FAILED"},
            why=lambda one: (str(one["status"]), str(one.get("status_details", {}).get("reason"))),
        )

    return capture


_BRAINTREE = (
    "query($input: TransactionSearchInput!, $after: String) { search { transactions(input: $input, first: 50,"
    " after: $after) { pageInfo { hasNextPage endCursor } edges { node { id status createdAt"
    " amount { value currencyCode } } } } } }"
)


def braintree_transactions(client: Client | httpx.AsyncClient, read: Callable[[Found], T]) -> Probe[T]:
    """A probe for transactions of Braintree, by its GraphQL search.

    The step sends `orderId=call.key`. How far the search may lag is not published, so the profile says 5 min
    (https://developer.paypal.com/braintree/graphql/guides/search).

    Args:
        client: of payments.braintree-api.com, with the API keys and a `Braintree-Version`.
        read: the step's result, from one transaction: id, status, createdAt, amount.
    """

    async def transactions(call: Call, *_: object, **__: object) -> Answer[T]:
        found: list[Found] = []
        after: str | None = None
        while True:
            variables = {"input": {"orderId": {"is": call.key}}, "after": after}
            told = _body(await client.post("/graphql", json={"query": _BRAINTREE, "variables": variables}))
            if told.get("errors"):
                raise LookupError(f"the search failed: {str(told['errors'])[:200]}")
            page = told["data"]["search"]["transactions"]
            found += [edge["node"] for edge in page["edges"]]
            if not page["pageInfo"]["hasNextPage"]:
                break
            after = page["pageInfo"]["endCursor"]
        return _one_of(
            sorted(found, key=lambda one: str(one["createdAt"])),
            read,
            landed={"AUTHORIZED", "SUBMITTED_FOR_SETTLEMENT", "SETTLING", "SETTLED", "SETTLEMENT_PENDING"},
            pending={"AUTHORIZING"},
            refused={"PROCESSOR_DECLINED", "GATEWAY_REJECTED", "FAILED"},
            why=lambda one: (str(one["status"]), ""),
        )

    return transactions


def _one_of(
    found: list[Found],
    read: Callable[[Found], T],
    *,
    landed: set[str],
    pending: set[str],
    refused: set[str],
    why: Callable[[Found], tuple[str, str]],
) -> Answer[T]:
    """The answer that entries give, the oldest first: what landed before what is pending before a refusal."""
    strange = [str(one["status"]) for one in found if one["status"] not in landed | pending | refused]
    if strange:
        raise LookupError(f"neither landed, refused nor pending: {', '.join(strange)[:200]}")
    there = [one for one in found if one["status"] in landed]
    if there:
        return Landed(read(there[0]), also=tuple(read(one) for one in there[1:]))
    if any(one["status"] in pending for one in found):
        return Pending()
    if found:
        code, message = why(found[-1])
        return Refused(code, message)
    return NotFound()


async def _stripe_pages(
    client: Client | httpx.AsyncClient, path: str, params: dict[str, str]
) -> AsyncIterator[Found]:
    after: dict[str, str] = {}
    while True:
        page = _body(await client.get(path, params={**params, "limit": PAGE, **after}))
        for one in page["data"]:
            yield one
        if not page["has_more"] or not page["data"]:
            return
        after = {"starting_after": str(page["data"][-1]["id"])}


def _body(reply: httpx.Response) -> Any:
    if reply.status_code != HTTPStatus.OK:
        raise _unread(reply)
    return reply.json()


def _unread(reply: httpx.Response) -> LookupError:
    return LookupError(f"http {reply.status_code} is no answer to a question")


def _retry_after(reply: httpx.Response) -> float | None:
    text = str(reply.headers.get("retry-after", ""))
    return float(text) if text.isascii() and text.isdigit() else None

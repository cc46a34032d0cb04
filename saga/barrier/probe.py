"""The caller's side: the headers of a request, a classifier that knows a barrier's replies, and ready probes.

    stock = Service("stock", remembers="all", key_lifetime="30d", classify=classify)
    reserve.status(action_status(http, Reservation))
    release.status(compensation_status(http))

Rules that hold here: the key is the forward key on both sides; the fence is asked for only when the saga does
not want the effect any more (S15), because a fenced key never lands; "not found" is evidence and no verdict.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from saga.answers import Answer, Fenced, Landed, NotFound, Pending
from saga.barrier.records import Side, State, encoded
from saga.call import Call
from saga.errors import InProgress, Mismatch, NotExecuted, Refused, Unknown
from saga.http import Client
from saga.http import classify as http_classify
from saga.values import Typed

T = TypeVar("T")
SHOWN = 200
"""So much of a reply is kept for people."""


def headers(call: Call) -> dict[str, str]:
    """The headers of the request, in a step and in its compensation alike."""
    if call.effect_key is None:
        return {"Idempotency-Key": call.key}
    return {"Idempotency-Key": call.effect_key, "Saga-Side": Side.COMPENSATION.value}


def classify(error: BaseException) -> Refused | NotExecuted | Unknown | None:
    """`saga.http.classify`, and the barrier's own replies: in progress (S18), and a mismatch, which parks (S19)."""
    if isinstance(error, httpx.HTTPStatusError):
        said = f"http {error.response.status_code}: {error.response.text[:SHOWN]}"
        match error.response.headers.get("saga-barrier"):
            case "mismatch":
                return Mismatch(said)
            case "in_progress":
                return InProgress(said, _seconds(error.response))
            case _:
                pass
    return http_classify(error)


def action_status(
    client: Client, result: type[T], *, path: str = "/barrier"
) -> Callable[..., Awaitable[Answer[T]]]:
    """A status handler for a step.

    Args:
        client: of the service; `saga.http.client`.
        result: the step's result type, which the kept result is read as.
        path: of the status route.
    """
    typed = Typed[T](result)

    async def barrier_status(call: Call, *_: object, **__: object) -> Answer[T]:
        reply = await _ask(client, path, call, Side.ACTION)
        return _answer(reply, lambda kept: typed.decode(encoded(kept)))

    return barrier_status


def compensation_status(client: Client, *, path: str = "/barrier") -> Callable[..., Awaitable[Answer[None]]]:
    """A status handler for a compensation: done, or nothing to undo, is landed."""

    async def barrier_status(call: Call, *_: object, **__: object) -> Answer[None]:
        return _answer(await _ask(client, path, call, Side.COMPENSATION), lambda _: None)

    return barrier_status


async def _ask(client: Client, path: str, call: Call, side: Side) -> httpx.Response:
    key = quote(call.key if side is Side.ACTION else call.effect_key or call.key, safe="")
    if side is Side.ACTION and not call.wanted:
        return await client.post(f"{path}/{key}", params={"side": side.value, "fence": "1"})
    return await client.get(f"{path}/{key}", params={"side": side.value})


def _seconds(reply: httpx.Response) -> float | None:
    said: str = reply.headers.get("retry-after", "")
    return float(said) if said.isascii() and said.isdigit() else None


def _answer(reply: httpx.Response, read: Callable[[Any], T]) -> Answer[T]:
    if reply.status_code == HTTPStatus.CONFLICT:
        return Pending(_seconds(reply))
    if reply.status_code == HTTPStatus.NOT_FOUND and reply.json().get("state") == "not_found":
        return NotFound()
    reply.raise_for_status()  # anything else is a failed question, and no evidence
    told = reply.json()
    match State(told["state"]):
        case State.DONE | State.SKIPPED:
            return Landed(read(told["result"]))
        case State.REFUSED:
            return Refused(told["result"]["code"], told["result"]["message"])
        case State.FENCED:
            return Fenced()
        case State.STARTED:
            return Pending()

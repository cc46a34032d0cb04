"""What a reply proves about a request to one service: what its status proves for all, then what this one promises.

Rules that hold here: a classifier's own word stands, and only what the table of `saga.statuses` concluded is
read again by the service's promises (S17 to S20); what would be a proof counts in the API's own format alone,
because a proxy on the way may have answered; "retry after" is a hint and never a proof.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from saga import statuses
from saga.core.promises import Promises
from saga.core.replies import Meaning
from saga.errors import InProgress, Mismatch, NotExecuted, Refused, ServerError, Unknown

Proof: TypeAlias = Refused | NotExecuted | Unknown | None
Classify: TypeAlias = Callable[[BaseException], Proof]
"""An exception of a client in, what it proves out; None means that it proves nothing."""

_SERVER_ERROR = 500
_NAMES = (
    "code",
    "type",
    "error",
    "errorCode",
    "error_code",
    "error_type",
    "issue",
    "name",
    "title",
    "category",
)
_LISTS = ("error_codes", "errors")
_DEPTH = 4
_MOST = 200


def judged(error: BaseException, classify: Classify, promises: Promises) -> Proof:
    """What `error` proves of a request to a service with these promises.

    classify: says what the exception proves by itself; each reply that it asks `saga.statuses` about is noted.
    """
    with statuses.noting() as notes:
        found = classify(error)
    if not notes:
        return found
    reply, general = notes[-1]
    if found is not None and found is not general:
        if isinstance(found, Refused) and found.status is None:
            found.status = reply.status
        return found
    return by_promise(reply, promises) or general or _unknown(reply)


def by_promise(reply: statuses.Reply, promises: Promises) -> Proof:
    """What the service promises that `reply` means; None where it promises nothing of it."""
    own = statuses.own_format(reply)
    meaning = promises.replies.meaning(reply.status, frozenset(words(own)))
    code, message = statuses.told_in(own or {})
    said = f"http {reply.status}" + (f": {code}" if code else "")
    rule = f"http {reply.status}, {meaning} by promise"
    match meaning:
        case Meaning.MISMATCH:
            return Mismatch(said)
        case Meaning.IN_PROGRESS:
            return InProgress(said, _seconds(reply))
        case Meaning.CONFLICT if own is not None:
            return Refused(code or f"http_{reply.status}", message, rule=rule, status=reply.status)
        case Meaning.SHED if own is not None:
            return NotExecuted(said, _seconds(reply), rule=rule)
        case _:
            return None


def words(body: Any, depth: int = _DEPTH) -> Iterator[str]:
    """The words by which an error body names its error, wherever the API puts them."""
    if depth == 0:
        return
    inside: list[Any] = []
    if _is(body, dict):
        yield from (
            str(body[name]) for name in _NAMES if _is(body.get(name), str) or _is(body.get(name), int)
        )
        for name in _LISTS:
            listed: list[Any] = body[name] if _is(body.get(name), list) else []
            yield from (one for one in listed[:_MOST] if _is(one, str))
        inside = [*body.values()]
    elif _is(body, list):
        inside = body
    for one in inside[:_MOST]:
        yield from words(one, depth - 1)


def _is(value: object, kind: type) -> bool:
    """`isinstance`, for what JSON may be, without narrowing Any to containers of nobody knows what."""
    return isinstance(value, kind)


def _unknown(reply: statuses.Reply) -> Unknown:
    said = f"http {reply.status} {reply.reason}".strip()
    if reply.status >= _SERVER_ERROR:
        return ServerError(said, _seconds(reply))
    return Unknown(said, _seconds(reply))


def _seconds(reply: statuses.Reply) -> float | None:
    """Seconds of a Retry-After; its other form, a date, would need a wall clock that is theirs and ours (S35)."""
    text = reply.retry_after.strip()
    return float(text) if text.isascii() and text.isdigit() else None

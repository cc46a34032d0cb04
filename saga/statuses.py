"""What a final HTTP status proves, the same for every HTTP client: one table, after RFC 9110.

Rules that hold here: N (not executed) and F (refused) need a named proof, everything else is unknown (S2);
most refusals count only in the API's own format, because a proxy on the way may have answered; what an API
means by a status beyond that is its profile's business (S17 to S20).
"""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from saga.errors import NotExecuted, Refused

REFUSED = frozenset({402, 412})
REFUSED_IN_OWN_FORMAT = frozenset({400, 404, 405, 406, 410, 411, 413, 414, 415, 417, 422, 428, 431})
NOT_EXECUTED = {
    401: "the credentials were not accepted: mend them",
    403: "the credentials do not allow it: mend them",
    421: "the request went to a server that does not answer for this host",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """A final reply, as any client gives it. body: None when it was not read. retry_after: the header's text."""

    status: int
    content_type: str = ""
    body: bytes | None = None
    reason: str = ""
    retry_after: str = ""


Noted = tuple[Reply, Refused | NotExecuted | None]
_notes: ContextVar[list[Noted] | None] = ContextVar("saga_noted_replies", default=None)


@contextmanager
def noting() -> Generator[list[Noted]]:
    """The replies that `proof` is asked about in this block, and what it said of each: for `saga.replies`."""
    notes: list[Noted] = []
    before = _notes.set(notes)
    try:
        yield notes
    finally:
        _notes.reset(before)


def proof(reply: Reply) -> Refused | NotExecuted | None:
    """What `reply` proves about its request: a final no, that nothing happened, or None: unknown."""
    found = _proof(reply)
    notes = _notes.get()
    if notes is not None:
        notes.append((reply, found))
    return found


def _proof(reply: Reply) -> Refused | NotExecuted | None:
    rule = f"http {reply.status}"
    if reply.status in NOT_EXECUTED:
        return NotExecuted(f"{rule}: {NOT_EXECUTED[reply.status]}", rule=rule)
    told = own_format(reply)
    if reply.status in REFUSED or (reply.status in REFUSED_IN_OWN_FORMAT and told is not None):
        code, message = told_in(told or {})
        return Refused(
            code or f"http_{reply.status}", message or reply.reason, rule=rule, status=reply.status
        )
    return None


def own_format(reply: Reply) -> Any:
    """The JSON of the reply, as an object: the API itself spoke, and no proxy on the way. Else None."""
    kind = reply.content_type.partition(";")[0].strip().lower()
    if reply.body is None or (kind != "application/json" and not kind.endswith("+json")):
        return None
    try:
        body: Any = json.loads(reply.body)
    except (ValueError, RecursionError):
        return None
    if _is(body, dict):
        return body
    return {} if _is(body, list) else None


def told_in(body: dict[str, Any]) -> tuple[str, str]:
    """The code and the message in an error body, of the usual shapes; only for people to read."""
    inner: Any = body.get("error")
    one: dict[str, Any] = inner if _is(inner, dict) else body
    code = next((one[key] for key in ("code", "error", "type") if isinstance(one.get(key), str)), "")
    message = next((one[key] for key in ("message", "detail", "title") if isinstance(one.get(key), str)), "")
    return code[:200], message[:2000]


def _is(value: object, kind: type) -> bool:
    return isinstance(value, kind)

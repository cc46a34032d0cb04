"""What an exception of httpx, or the HTTP status in it, proves about the request.

Rules that hold here: N (not executed) and F (refused) need a named proof, everything else is unknown (S2);
when another request was answered before (a redirect, an authentication round), an exception about the last
one proves nothing about the first. The source is each exception's place in httpx 0.28 and httpcore 1.0, and
RFC 9110 for the statuses; what an API means by a status beyond that is its profile's business.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import httpx

from saga.errors import NotExecuted, Refused

_BEFORE_THE_SEND = (
    httpx.ConnectTimeout,
    httpx.ConnectError,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)
_REFUSED = frozenset({402, 412})
_REFUSED_IN_OWN_FORMAT = frozenset({400, 404, 405, 406, 410, 411, 413, 414, 415, 417, 422, 428, 431})
_NOT_EXECUTED = {
    401: "the credentials were not accepted: mend them",
    403: "the credentials do not allow it: mend them",
    421: "the request went to a server that does not answer for this host",
}


def classify(error: BaseException) -> Refused | NotExecuted | None:
    """What `error` proves, for `Service(classify=…)`: a final no, that nothing happened, or None: unknown.

    Each proof carries its `rule`, such as "httpx.ConnectError" or "http 402".
    """
    if isinstance(error, httpx.HTTPStatusError):
        return _of_response(error.response)
    if not isinstance(error, (*_BEFORE_THE_SEND, httpx.LocalProtocolError)):
        return None
    if _answered_before(error):
        return None
    if isinstance(error, httpx.LocalProtocolError) and not _raised_while(error, "_send_request_headers"):
        return None  # a body that breaks off may have been read as a whole request
    name = type(error).__name__
    return NotExecuted(f"{name}: {error}" if str(error) else name, rule=f"httpx.{name}")


def _of_response(response: httpx.Response) -> Refused | NotExecuted | None:
    status = response.status_code
    rule = f"http {status}"
    if response.history:
        return None  # a redirect was followed: this is the answer to another request
    if status in _NOT_EXECUTED:
        return NotExecuted(f"{rule}: {_NOT_EXECUTED[status]}", rule=rule)
    body = _own_format(response)
    if status in _REFUSED or (status in _REFUSED_IN_OWN_FORMAT and body is not None):
        code, message = _told(body or {})
        return Refused(code or f"http_{status}", message or response.reason_phrase, rule=rule)
    return None


def _own_format(response: httpx.Response) -> Any:
    """The JSON of the reply, as an object: the API itself spoke, and no proxy on the way. Else None."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        return None
    try:
        body: Any = json.loads(response.content)
    except (ValueError, RecursionError, httpx.ResponseNotRead, httpx.StreamError):
        return None
    if _is(body, dict):
        return body
    return {} if _is(body, list) else None


def _told(body: dict[str, Any]) -> tuple[str, str]:
    """The code and the message in an error body, of the usual shapes; only for people to read."""
    inner: Any = body.get("error")
    one: dict[str, Any] = inner if _is(inner, dict) else body
    code = next((one[key] for key in ("code", "error", "type") if isinstance(one.get(key), str)), "")
    message = next((one[key] for key in ("message", "detail", "title") if isinstance(one.get(key), str)), "")
    return code[:200], message[:2000]


def _is(value: object, kind: type) -> bool:
    return isinstance(value, kind)


def _answered_before(error: BaseException) -> bool:
    """Whether httpx had an answer already when this was raised: it followed a redirect, or logged in."""
    return any(
        frame.tb_frame.f_locals.get("history")
        for frame in _frames(error.__traceback__)
        if frame.tb_frame.f_code.co_name in {"_send_handling_redirects", "_send_handling_auth"}
    )


def _raised_while(error: BaseException, function: str) -> bool:
    """Whether `error`, or what it was made from, was raised in `function`, before a byte was written."""
    at: BaseException | None = error
    while at is not None:
        if any(frame.tb_frame.f_code.co_name == function for frame in _frames(at.__traceback__)):
            return True
        at = at.__cause__ or at.__context__
    return False


def _frames(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next

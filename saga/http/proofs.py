"""What an exception of httpx, or the HTTP status in it, proves about the request.

Rules that hold here: N (not executed) and F (refused) need a named proof, everything else is unknown (S2);
when another request was answered before (a redirect, an authentication round), an exception about the last
one proves nothing about the first. The source is each exception's place in httpx 0.28 and httpcore 1.0; the
statuses are those of `saga.statuses`.
"""

from __future__ import annotations

import httpx

from saga import statuses
from saga.errors import NotExecuted, Refused
from saga.traces import came_through, frames, said

_BEFORE_THE_SEND = (
    httpx.ConnectTimeout,
    httpx.ConnectError,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)


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
    if isinstance(error, httpx.LocalProtocolError) and not came_through(error, "_send_request_headers"):
        return None  # a body that breaks off may have been read as a whole request
    return NotExecuted(said(error), rule=f"httpx.{type(error).__name__}")


def _of_response(response: httpx.Response) -> Refused | NotExecuted | None:
    if response.history:
        return None  # a redirect was followed: this is the answer to another request
    try:
        body: bytes | None = response.content
    except (httpx.ResponseNotRead, httpx.StreamError):
        body = None
    kind, later = response.headers.get("content-type", ""), response.headers.get("retry-after", "")
    return statuses.proof(statuses.Reply(response.status_code, kind, body, response.reason_phrase, later))


def _answered_before(error: BaseException) -> bool:
    """Whether httpx had an answer already when this was raised: it followed a redirect, or logged in."""
    through = ("_send_handling_redirects", "_send_handling_auth")
    return any(frame.f_locals.get("history") for frame in frames(error, through))

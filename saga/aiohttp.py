"""aiohttp for `async def` steps: `classify` says what an exception proves, `client` sends once.

Rules that hold here: what is not proven is unknown (S2); a client of ours sends one request a call, follows
no redirect, raises for every status from 300 on together with the body, and keeps the attempt's budget
(S11). aiohttp itself sends PUT, DELETE and their kin again when a connection breaks, on a fresh connection
too: a middleware keeps it from that.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

try:
    import aiohttp
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        "saga.aiohttp needs aiohttp: install the extra, `pip install 'saga-engine[aiohttp]'`", name="aiohttp"
    ) from missing

from aiohttp.http_exceptions import HttpProcessingError

from saga import statuses
from saga.budgets import budget, socket_options
from saga.core.durations import Duration, parse
from saga.errors import DefinitionError, NotExecuted, Refused
from saga.traces import frames, name, said

_BEFORE_THE_SEND = (
    aiohttp.ClientConnectorError,  # a subclass of ClientOSError, which is unknown; DNS, TLS and proxy are kinds of it
    aiohttp.ClientConnectorCertificateError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
)
_REDIRECTION = 300

BaseUrl: TypeAlias = str | Callable[[], str]


class ConnectionLost(aiohttp.ClientConnectionError):
    """The connection broke when the request was perhaps sent; not of the kind that aiohttp tries again."""


class StatusError(aiohttp.ClientResponseError):
    """A reply with a status from 300 on. body: read in full, so that `classify` can see the API's format."""

    def __init__(self, response: aiohttp.ClientResponse, body: bytes) -> None:
        super().__init__(
            response.request_info,
            response.history,
            status=response.status,
            message=response.reason or "",
            headers=response.headers,
        )
        self.body = body


def classify(error: BaseException) -> Refused | NotExecuted | None:
    """What `error` proves, for `Service(classify=…)`: a final no, that nothing happened, or None: unknown.

    Each proof carries its `rule`, such as "aiohttp.ClientConnectorError" or "http 402". A status that the
    parser made up (400, for a reply that is no HTTP) proves nothing. aiohttp's own raise_for_status drops the
    body, and with it the proof of most refusals: use `client`, or raise `StatusError`.
    """
    if isinstance(error, aiohttp.ClientResponseError):
        return _of_response(error)
    if not isinstance(error, _BEFORE_THE_SEND) or _sent_before(error):
        return None
    return NotExecuted(said(error), rule=f"aiohttp.{name(error)}")


def _of_response(error: aiohttp.ClientResponseError) -> Refused | NotExecuted | None:
    made_up = isinstance(error.__cause__, HttpProcessingError)
    of_the_proxy = isinstance(error, aiohttp.ClientHttpProxyError)
    if made_up or of_the_proxy or error.history or isinstance(error, aiohttp.TooManyRedirects):
        return None
    headers: Mapping[str, str] = error.headers or {}
    kind, after = headers.get("content-type", ""), headers.get("retry-after", "")
    body = error.body if isinstance(error, StatusError) else None
    return statuses.proof(statuses.Reply(error.status, kind, body, error.message, after))


def _sent_before(error: BaseException) -> bool:
    """Whether aiohttp had sent a request before the one that this is about: a redirect, or a second try."""
    for frame in frames(error, ("_request",)):
        seen = frame.f_locals
        if seen.get("history"):
            return True
        tries_again = (
            getattr(seen.get("self"), "_retry_connection", True) and seen.get("method") in _IDEMPOTENT
        )
        if tries_again and seen.get("retry_persistent_connection") is False:
            return True
    return False


_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})


async def send_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """A middleware for a session of your own: keeps aiohttp from sending again when a connection breaks."""
    try:
        return await handler(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise ConnectionLost(said(error)) from error


async def raise_for_status(response: aiohttp.ClientResponse) -> None:
    """For `ClientSession(raise_for_status=…)`: raise every status from 300 on, with the body.

    Raises:
        StatusError: that.
    """
    if response.status >= _REDIRECTION:
        raise StatusError(response, await response.read())


def _socket(address: Any) -> socket.socket:
    """A socket that closes with a reset, and gives up early what nobody acknowledges."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    for option in socket_options():
        made.setsockopt(*option)
    return made


def connector(**options: Any) -> aiohttp.TCPConnector:
    """A connector whose connections serve one request each, and end with a reset; options as in aiohttp."""
    return aiohttp.TCPConnector(force_close=True, socket_factory=_socket, **options)


class Client:
    """An HTTP client for steps; make it with `client`."""

    def __init__(self, base_url: BaseUrl, timeout_s: float, **options: Any) -> None:
        self._base_url = base_url
        self._timeout_s = timeout_s
        self._ssl = options.pop("ssl", None)
        self._options = options
        self._sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, aiohttp.ClientSession] = (
            WeakKeyDictionary()
        )
        self._lock = threading.Lock()

    async def request(self, method: str, url: str, **options: Any) -> aiohttp.ClientResponse:
        """Send once, and read the reply in full, within the attempt's budget; `await reply.json()` is ready.

        Args:
            method: such as "POST".
            url: relative to the base URL, or absolute.
            options: as in aiohttp: json, data, params, headers, cookies.

        Raises:
            aiohttp.ConnectionTimeoutError: the deadline passed before a byte was sent.
            TimeoutError: it passed later. StatusError: a status from 300 on. aiohttp.ClientError: as aiohttp.
            NotExecuted: no budget was left to begin with.
        """
        session = self._here()
        seconds = budget(self._timeout_s)
        progress = {"open": False}
        options.update(
            allow_redirects=False, timeout=aiohttp.ClientTimeout(total=None), trace_request_ctx=progress
        )
        try:
            async with asyncio.timeout(seconds):
                response = await session.request(method, self._address(url), **options)
                await response.read()
                return response
        except TimeoutError:
            if progress["open"]:
                raise TimeoutError("the deadline passed after the request was sent") from None
            raise aiohttp.ConnectionTimeoutError("the deadline passed before a byte was sent") from None

    async def get(self, url: str, **options: Any) -> aiohttp.ClientResponse:
        """Send a GET; see `request`."""
        return await self.request("GET", url, **options)

    async def post(self, url: str, **options: Any) -> aiohttp.ClientResponse:
        """Send a POST; see `request`."""
        return await self.request("POST", url, **options)

    async def put(self, url: str, **options: Any) -> aiohttp.ClientResponse:
        """Send a PUT; see `request`."""
        return await self.request("PUT", url, **options)

    async def patch(self, url: str, **options: Any) -> aiohttp.ClientResponse:
        """Send a PATCH; see `request`."""
        return await self.request("PATCH", url, **options)

    async def delete(self, url: str, **options: Any) -> aiohttp.ClientResponse:
        """Send a DELETE; see `request`."""
        return await self.request("DELETE", url, **options)

    async def aclose(self) -> None:
        """Close what was opened on the running loop; the next request opens it again."""
        with self._lock:
            session = self._sessions.pop(asyncio.get_running_loop(), None)
        if session is not None:
            await session.close()

    def _address(self, url: str) -> str:
        if url.startswith(("http://", "https://")):
            return url
        root = self._base_url if isinstance(self._base_url, str) else self._base_url()
        return f"{root.rstrip('/')}/{url.lstrip('/')}" if url else root

    def _here(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        with self._lock:
            session = self._sessions.get(loop)
            if session is None:
                session = aiohttp.ClientSession(
                    connector=connector(**({} if self._ssl is None else {"ssl": self._ssl})),
                    middlewares=(send_once,),
                    raise_for_status=raise_for_status,
                    trace_configs=[_watch()],
                    **self._options,
                )
                self._sessions[loop] = session
            return session


def _watch() -> aiohttp.TraceConfig:
    """Notes in the request's context when its connection is open: from then on it may have been sent."""
    config = aiohttp.TraceConfig()

    async def opened(_: aiohttp.ClientSession, context: Any, __: object) -> None:
        context.trace_request_ctx["open"] = True

    config.on_connection_create_end.append(opened)
    config.on_connection_reuseconn.append(opened)
    return config


def client(
    base_url: BaseUrl, *, timeout: Duration = "30s", headers: Mapping[str, str] | None = None, ssl: Any = None
) -> Client:
    """A client for `async def` steps: no retries, no redirects, no proxies of the environment.

    Args:
        base_url: a URL, or a function without arguments that gives it when a request is made.
        timeout: of one request outside an attempt; inside one, what is left of the attempt.
        headers: sent with every request.
        ssl: as in aiohttp: an `ssl.SSLContext`.
    """
    return Client(base_url, parse(timeout).total_seconds(), headers=headers, ssl=ssl)


def check_client(session: aiohttp.ClientSession) -> None:
    """See that a session of your own sends once.

    A session cannot say whether redirects are followed, each call does: `allow_redirects=False`.

    Raises:
        DefinitionError: with a sentence for each thing that is wrong.
    """
    problems: list[str] = []
    middlewares: tuple[Any, ...] = tuple(getattr(session, "_middlewares", ()))
    if send_once not in middlewares and getattr(session, "_retry_connection", True):
        problems.append(
            "this aiohttp session sends PUT, DELETE and their kin again when a connection breaks:"
            " middlewares=(saga.aiohttp.send_once,)"
        )
    if getattr(session.connector, "force_close", True) is False:
        problems.append("this aiohttp session keeps connections: connector=saga.aiohttp.connector()")
    others = [one for one in middlewares if one is not send_once]
    if others:
        names = ", ".join(getattr(one, "__name__", type(one).__name__) for one in others)
        problems.append(f"this aiohttp session has middlewares that may send again: {names}")
    if problems:
        raise DefinitionError(problems)

"""`client`: httpx for `async def` steps; sends once, with a total deadline.

Rules that hold here: one underlying `httpx.AsyncClient` a running loop, so that a client may be a module's
constant; the deadline is total (httpx has none), and what it raises says whether anything was sent.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Unpack
from weakref import WeakKeyDictionary

import httpx

from saga.budgets import budget, set_options
from saga.core.durations import Duration, parse
from saga.http.pool import take_back
from saga.http.sending import BaseUrl, Headers, RequestOptions, address, is_send, too_late


class Client:
    """An HTTP client for steps; make it with `client`."""

    def __init__(self, base_url: BaseUrl, timeout_s: float, **options: Any) -> None:
        self._base_url = base_url
        self._timeout_s = timeout_s
        self._options = options
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = WeakKeyDictionary()
        self._lock = threading.Lock()

    async def request(self, method: str, url: str, **options: Unpack[RequestOptions]) -> httpx.Response:
        """Send once, and read the reply in full, within the attempt's budget.

        Args:
            method: such as "POST".
            url: relative to the base URL, or absolute.
            options: as in httpx: json, content, data, files, params, headers, cookies.

        Raises:
            httpx.ConnectTimeout: the deadline passed before a byte was sent.
            httpx.ReadTimeout: it passed later. httpx.HTTPError: as httpx raises it.
            NotExecuted: no budget was left to begin with.
        """
        inner = self._here()  # making one takes time, which the budget must have lost already
        seconds = budget(self._timeout_s)
        sent = False

        async def trace(event: str, info: Any) -> None:
            nonlocal sent
            if is_send(event):
                sent = True
            elif event == "connection.connect_tcp.complete":
                set_options(info["return_value"].get_extra_info("socket").fileno())

        request = inner.build_request(
            method,
            address(self._base_url, url),
            timeout=seconds,
            extensions={"trace": trace},
            **options,
        )
        try:
            async with asyncio.timeout(seconds):
                return await self._send(inner, request)
        except TimeoutError:
            raise too_late(request, sent=sent) from None

    @staticmethod
    async def _send(inner: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
        try:
            return await inner.send(request)
        except BaseException:
            await take_back(inner)
            raise

    async def get(self, url: str, **options: Unpack[RequestOptions]) -> httpx.Response:
        """Send a GET; see `request`."""
        return await self.request("GET", url, **options)

    async def post(self, url: str, **options: Unpack[RequestOptions]) -> httpx.Response:
        """Send a POST; see `request`."""
        return await self.request("POST", url, **options)

    async def put(self, url: str, **options: Unpack[RequestOptions]) -> httpx.Response:
        """Send a PUT; see `request`."""
        return await self.request("PUT", url, **options)

    async def patch(self, url: str, **options: Unpack[RequestOptions]) -> httpx.Response:
        """Send a PATCH; see `request`."""
        return await self.request("PATCH", url, **options)

    async def delete(self, url: str, **options: Unpack[RequestOptions]) -> httpx.Response:
        """Send a DELETE; see `request`."""
        return await self.request("DELETE", url, **options)

    async def aclose(self) -> None:
        """Close what was opened on the running loop; the next request opens it again."""
        with self._lock:
            inner = self._clients.pop(asyncio.get_running_loop(), None)
        if inner is not None:
            await inner.aclose()

    def _here(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        with self._lock:
            inner = self._clients.get(loop)
            if inner is None:
                inner = httpx.AsyncClient(follow_redirects=False, trust_env=False, **self._options)
                self._clients[loop] = inner
            return inner


def client(
    base_url: BaseUrl,
    *,
    timeout: Duration = "30s",
    headers: Headers | None = None,
    auth: Any = None,
    verify: Any = True,
    limits: httpx.Limits | None = None,
) -> Client:
    """A client for `async def` steps: no retries, no redirects, no proxies of the environment.

    Args:
        base_url: a URL, or a function without arguments that gives it when a request is made.
        timeout: of one request outside an attempt; inside one, what is left of the attempt.
        headers: sent with every request.
        auth: as in httpx.
        verify: as in httpx: True, or an `ssl.SSLContext`.
        limits: of the connection pool, as in httpx.
    """
    options: dict[str, Any] = {"headers": headers, "auth": auth, "verify": verify}
    if limits is not None:
        options["limits"] = limits
    return Client(base_url, parse(timeout).total_seconds(), **options)

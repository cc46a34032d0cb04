"""`blocking_client`: httpx for `def` steps, which run in threads; sends once, with a total deadline.

Rules that hold here: httpx's timeouts are per read, so a server that drips could hold a thread for ever; a
timer shuts the socket at the deadline. For that, each request has a connection of its own. Known weakness:
looking up a host name blocks, and cannot be interrupted.
"""

from __future__ import annotations

import threading
from typing import Any, Unpack

import httpx

from saga.budgets import Deadline, budget, socket_options
from saga.core.durations import Duration, parse
from saga.http.sending import BaseUrl, Headers, RequestOptions, address, is_send, too_late


class _Deadline(Deadline):
    """The deadline, told by httpcore at every stage of the request."""

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """What httpcore calls."""
        if event in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
            self.holds(info["return_value"].get_extra_info("socket"))
        elif is_send(event):
            if self.over:
                raise httpx.ConnectTimeout("the deadline passed before a byte was sent")
            self.sent = True


class BlockingClient:
    """An HTTP client for `def` steps; make it with `blocking_client`."""

    def __init__(self, base_url: BaseUrl, timeout_s: float, **options: Any) -> None:
        self._base_url = base_url
        self._timeout_s = timeout_s
        self._options = options
        self._inner: httpx.Client | None = None
        self._lock = threading.Lock()

    def request(self, method: str, url: str, **options: Unpack[RequestOptions]) -> httpx.Response:
        """Send once, and read the reply in full, within the attempt's budget; see `Client.request`."""
        inner = self._here()  # making one takes time, which the budget must have lost already
        seconds = budget(self._timeout_s)
        with _Deadline(seconds) as deadline:
            request = inner.build_request(
                method,
                address(self._base_url, url),
                timeout=seconds,
                extensions={"trace": deadline.trace},
                **options,
            )
            try:
                return inner.send(request)
            except httpx.TransportError:
                if deadline.sent and deadline.over:
                    raise too_late(request, sent=True) from None
                raise

    def get(self, url: str, **options: Unpack[RequestOptions]) -> httpx.Response:
        """Send a GET; see `request`."""
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Unpack[RequestOptions]) -> httpx.Response:
        """Send a POST; see `request`."""
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Unpack[RequestOptions]) -> httpx.Response:
        """Send a PUT; see `request`."""
        return self.request("PUT", url, **options)

    def patch(self, url: str, **options: Unpack[RequestOptions]) -> httpx.Response:
        """Send a PATCH; see `request`."""
        return self.request("PATCH", url, **options)

    def delete(self, url: str, **options: Unpack[RequestOptions]) -> httpx.Response:
        """Send a DELETE; see `request`."""
        return self.request("DELETE", url, **options)

    def close(self) -> None:
        """Close it; the next request opens it again."""
        with self._lock:
            inner, self._inner = self._inner, None
        if inner is not None:
            inner.close()

    def _here(self) -> httpx.Client:
        with self._lock:
            if self._inner is None:
                limits = httpx.Limits(max_keepalive_connections=0)
                verify = self._options.get("verify", True)
                self._inner = httpx.Client(
                    transport=httpx.HTTPTransport(
                        retries=0,
                        trust_env=False,
                        limits=limits,
                        verify=verify,
                        socket_options=socket_options(),
                    ),
                    follow_redirects=False,
                    trust_env=False,
                    headers=self._options.get("headers"),
                    auth=self._options.get("auth"),
                )
            return self._inner


def blocking_client(
    base_url: BaseUrl,
    *,
    timeout: Duration = "30s",
    headers: Headers | None = None,
    auth: Any = None,
    verify: Any = True,
) -> BlockingClient:
    """A client for `def` steps: no retries, no redirects, no proxies of the environment.

    Args:
        base_url: a URL, or a function without arguments that gives it when a request is made.
        timeout: of one request outside an attempt; inside one, what is left of the attempt.
        headers: sent with every request.
        auth: as in httpx.
        verify: as in httpx: True, or an `ssl.SSLContext`.
    """
    return BlockingClient(base_url, parse(timeout).total_seconds(), headers=headers, auth=auth, verify=verify)

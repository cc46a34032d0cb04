"""httpx for steps: `classify` says what an exception proves, `client` sends once and keeps the deadline.

Rules that hold here: httpx is imported in this package only; what is not proven is unknown (S2); a client
sends one request a call, follows no redirect, and its budget is the attempt's (S11).
"""

from __future__ import annotations

try:
    import httpx as _httpx
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        "saga.http needs httpx: install the extra, `pip install 'saga-engine[http]'`", name="httpx"
    ) from missing

from saga.http.asynchronous import Client, client
from saga.http.blocking import BlockingClient, blocking_client
from saga.http.checks import check_client
from saga.http.proofs import classify

__all__ = ["BlockingClient", "Client", "blocking_client", "check_client", "classify", "client"]

del _httpx

"""The network as it is, in front of the warehouse: it loses replies, and keeps requests on their way.

Rules: what is to go wrong is ordered with `POST /trouble`, and goes wrong once per order; the warehouse behind it
is the real one and knows nothing of this. A request that is held has left its sender for good: it lands when it is
let go, whether anybody still waits for it or not.
"""

import asyncio
import json
from collections import defaultdict
from enum import StrEnum
from http import HTTPStatus
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from examples.checkout.serving import break_connection


class Kind(StrEnum):
    """What goes wrong."""

    LOSE_REPLY = "lose_reply"
    """The request is served, and its reply never arrives."""
    HOLD = "hold"
    """The request stays on its way until it is let go."""


class Trouble:
    """Wraps an application. `GET /trouble` tells what became of requests that were held."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._orders: defaultdict[str, list[Kind]] = defaultdict(list)
        self._way_is_free = asyncio.Event()
        self._landed: list[int] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or lose it."""
        orders = self._orders[scope["path"]] if scope["type"] == "http" else []
        match orders.pop(0) if orders else scope.get("path"):
            case "/trouble":
                await self._order(scope, receive, send)
            case Kind.LOSE_REPLY:
                await self._app(scope, receive, _nowhere)
                break_connection(Request(scope))
            case Kind.HOLD:
                await self._hold(scope, await Request(scope, receive).body())
            case _:
                await self._app(scope, receive, send)

    async def _hold(self, scope: Scope, body: bytes) -> None:
        await self._way_is_free.wait()
        once = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> Message:
            return next(once)

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._landed.append(message["status"])

        await self._app(scope, receive, send)

    async def _order(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            order = cast("dict[str, Any]", json.loads(await Request(scope, receive).body()))
            if order.get("let_go"):
                self._way_is_free.set()
            else:
                self._orders[order["path"]].append(Kind(order["kind"]))
        await JSONResponse(self._landed, HTTPStatus.OK)(scope, receive, send)


async def _nowhere(message: Message) -> None:
    del message

"""What goes wrong on the way to a service and back, by seeded dice, at about one call in twenty.

Rules: it wraps an application that knows nothing of it. A request that lands late lands within what its service
promises: its deadline plus the lateness, or not at all. Questions meet trouble, too, but land nothing late.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from enum import StrEnum
from random import Random
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from examples.checkout.serving import break_connection
from tests.chaos.pace import pause
from tests.chaos.services.desk import LATENESS_S


class Trouble(StrEnum):
    """One thing that may happen to a call."""

    LOSE_REQUEST = "lose request"
    LOSE_REPLY = "lose reply"
    STALL = "stall"
    """It waits, then is served as if nothing was: perhaps too late for its caller."""
    LATE = "late"
    """The caller sees the connection break at once; the request lands later."""
    ERROR_BEFORE = "error before"
    ERROR_AFTER = "error after"
    DOWN = "down"
    """A 503 in the services' own form: proof that nothing was done."""


CHANCES = {
    Trouble.LOSE_REQUEST: 0.008,
    Trouble.LOSE_REPLY: 0.012,
    Trouble.STALL: 0.008,
    Trouble.LATE: 0.008,
    Trouble.ERROR_BEFORE: 0.007,
    Trouble.ERROR_AFTER: 0.007,
    Trouble.DOWN: 0.01,
}
DURING_QUESTIONS = (Trouble.LOSE_REQUEST, Trouble.LOSE_REPLY, Trouble.STALL, Trouble.ERROR_BEFORE)


class Troubled:
    """Wraps an application. `POST /calm` ends all trouble; `GET /busy` tells how many requests are in hand."""

    def __init__(self, app: ASGIApp, seed: int, name: str) -> None:
        self._app = app
        # Each life of a service has dice of its own: a restart does not begin the same trouble again.
        self._dice = Random(f"{seed}/{name}/{os.getpid()}")
        self._calm = False
        self._busy = 0
        self._late: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or what becomes of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"] in {"/calm", "/busy"}:
            self._calm = self._calm or scope["path"] == "/calm"
            await reply(send, 200, {"busy": self._busy + len(self._late)})
            return
        self._busy += 1
        try:
            await self._serve(scope, receive, send)
        finally:
            self._busy -= 1

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        trouble = self._throw(asking=scope["method"] == "GET" or scope["path"].startswith("/barrier"))
        if trouble is None:
            await self._app(scope, receive, send)
            return
        body = await Request(scope, receive).body()
        match trouble:
            case Trouble.LOSE_REQUEST:
                break_connection(Request(scope))
            case Trouble.LOSE_REPLY:
                await self._run(scope, body, _nowhere)
                break_connection(Request(scope))
            case Trouble.STALL:
                await pause(self._dice.uniform(0.1, 1.5))
                await self._run(scope, body, send)
            case Trouble.LATE:
                break_connection(Request(scope))
                self._land_later(scope, body)
            case Trouble.ERROR_BEFORE:
                await reply(send, self._dice.choice((500, 502, 504)), {"error": {"code": "broken"}})
            case Trouble.ERROR_AFTER:
                await self._run(scope, body, _nowhere)
                await reply(send, self._dice.choice((500, 502, 504)), {"error": {"code": "broken"}})
            case Trouble.DOWN:
                await reply(send, 503, {"error": {"code": "down"}})

    def _throw(self, *, asking: bool) -> Trouble | None:
        thrown, at = self._dice.random(), 0.0
        if self._calm:
            return None
        for trouble, chance in CHANCES.items():
            at += chance
            if thrown < at:
                return trouble if not asking or trouble in DURING_QUESTIONS else None
        return None

    def _land_later(self, scope: Scope, body: bytes) -> None:
        deadline = float(dict(scope["headers"])[b"request-deadline"])
        latest = max(0.0, deadline + LATENESS_S * 0.9 - time.time())
        after = self._dice.uniform(0.2, 1.0) * latest

        async def land() -> None:
            await pause(after)
            await self._run(scope, body, _nowhere)

        task = asyncio.get_running_loop().create_task(land())
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _run(self, scope: Scope, body: bytes, send: Send) -> None:
        given = False

        async def receive() -> Message:
            nonlocal given
            if given:
                return {"type": "http.disconnect"}
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, receive, send)


async def reply(send: Send, status: int, body: dict[str, Any]) -> None:
    """A JSON reply."""
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})


async def _nowhere(message: Message) -> None:
    del message

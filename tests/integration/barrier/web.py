"""An application behind a middleware, called in this process: what it did, and a client that never raises for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from saga.barrier.asgi import current
from saga.barrier.replies import App, Receive, Scope, Send
from tests.integration.barrier.place import WORK, Place


class Application:
    """Books, and replies as it was told; in the transaction of its request where there is one."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.ran = 0
        self.status = 201
        self.chunks = [b'{"id": ', b"7}"]
        self.kind = b"application/json"
        self.raises: BaseException | None = None
        self.entered = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.shared = True
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.ran += 1
        self.bodies.append((await receive())["body"])
        if self.shared and "saga.barrier" in scope:
            await current(scope).connection.execute(WORK)
        else:
            self.place.execute(WORK)
        self.entered.set()
        await self.go_on.wait()
        if self.raises is not None:
            raise self.raises
        headers = [(b"Content-Type", self.kind), (b"Set-Cookie", b"a=b"), (b"Location", b"/7")]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        for chunk in self.chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class Client:
    """Calls the application."""

    def __init__(self, inner: httpx.AsyncClient) -> None:
        self._inner = inner

    async def post(
        self, key: str | None = "k", *, body: object = "b", path: str = "/book", **headers: str
    ) -> httpx.Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            given["Idempotency-Key"] = key
        return await self._inner.post(path, content=json.dumps(body), headers=given)

    async def compensate(self, key: str = "k") -> httpx.Response:
        return await self.post(key, path="/unbook", saga_side="compensation")

    async def status(self, key: str = "k", side: str = "action") -> httpx.Response:
        return await self._inner.get(f"/barrier/{key}", params={"side": side})

    async def fence(self, key: str = "k", **more: str) -> httpx.Response:
        return await self._inner.post(f"/barrier/{key}", params={"fence": "1", **more})

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return await self._inner.request(method, path, **options)


@asynccontextmanager
async def calling(app: App) -> AsyncGenerator[Client]:
    """A client of the application."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as inner:
        yield Client(inner)


def code_of(reply: httpx.Response) -> str:
    """The code of an error."""
    return str(reply.json()["error"]["code"])

# ruff: noqa: ARG002 - all providers have one signature
"""A provider of payments over real HTTP: what all of the fakes share. Each is written from its provider's documentation.

What a request meets is planned with one word each, in `plan`; without a word it is paid for.
"""

from __future__ import annotations

import json
import socket
import threading
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, ClassVar
from urllib.parse import parse_qsl

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from examples.checkout.serving import BreakableProtocol, break_connection
from saga import Call, Service
from saga.http import Client
from saga.profiles.probes import Probe

Body = dict[str, Any]
Told = tuple[int, Body]


class Provider:
    """Takes payments under keys. paid: every effect, in order. requests: the key of each request that arrived.

    The words of a plan: decline · lose_decline (its reply is lost) · invalid · shed · broken (an error of the
    service, after it began) · broken_after (after it paid) · lose_reply · lose_request · slow (goes on working
    for two more requests) · other (the key was used for another request) · late (the connection breaks, and it
    lands at the second question) · surplus (pays five times, and the reply is lost).
    """

    profile: ClassVar[str]
    overrides: ClassVar[dict[str, Any]] = {}
    path: ClassVar[str] = "/payments"
    header: ClassVar[str] = "Idempotency-Key"
    success: ClassVar[int] = 200
    says: ClassVar[dict[str, Told]] = {}
    """What is replied at decline, invalid, shed, broken, in_progress, mismatch."""

    service: Service
    """The service that the shop makes of the profile."""

    def __init__(self) -> None:
        self.url = ""
        self.plan: deque[str] = deque()
        self.paid: list[Body] = []
        self.failed: list[Body] = []
        self.requests: list[str] = []
        self.questions = 0
        self.kept: dict[str, tuple[str, Told]] = {}
        self.working: dict[str, int] = {}
        self.coming: list[tuple[str, Body]] = []

    def keeps(self, status: int) -> bool:
        """Whether a reply of this status is kept under the key."""
        raise NotImplementedError

    def made(self, number: int, key: str, *, failed: bool = False) -> Body:
        """A payment, as the provider's JSON has it."""
        raise NotImplementedError

    def sending(self, call: Call, amount: int) -> Body:
        """What the step sends: options of `Client.post`."""
        return {"json": {"amount": amount, "reference": call.key}, "headers": {self.header: call.key}}

    def read(self, body: Body, status: int) -> str:
        """The step's result, in the reply to its request; raises `Refused` where a success is a refusal."""
        return str(body["id"])

    def probe(self, client: Client) -> Probe[str] | None:
        """The ready probe, where there is one."""
        return None

    def found(self, request: Request, body: Body) -> Response:
        """The answer to a question."""
        raise NotImplementedError

    def is_question(self, request: Request, body: Body) -> bool:
        """Whether it asks, rather than pays."""
        return request.method == "GET"

    def key_of(self, request: Request, body: Body) -> str:
        """The key of a request, wherever the provider takes it."""
        return request.headers[self.header]

    def reply(self, payment: Body) -> Told:
        """The reply to a request that was paid for."""
        return self.success, payment

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        raw = await request.body()
        form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        body = dict(parse_qsl(raw.decode())) if form else json.loads(raw or b"{}")
        if self.is_question(request, body):
            self.questions += 1
            if self.questions > 1 and self.coming:
                self._execute(*self.coming.pop())
            await self.found(request, body)(scope, receive, send)
            return
        answer = self._pay(self.key_of(request, body), body)
        if answer is None:
            break_connection(request)
            return
        await JSONResponse(answer[1], answer[0])(scope, receive, send)

    def _pay(self, key: str, body: Body) -> Told | None:
        """The reply to a request, or None: the connection breaks."""
        self.requests.append(key)
        word = self.plan.popleft() if self.plan else "pay"
        if word in {"shed", "invalid"}:  # before anything looks at the key
            return self.says[word]
        known = self.kept.get(key)
        if known is not None:
            return known[1] if known[0] == _print_of(body) else self.says["mismatch"]
        if key in self.working:
            self.working[key] -= 1
            if self.working[key] == 0:
                del self.working[key]
                self._execute(key, body)
            return self.says["in_progress"]
        match word:
            case "lose_request":
                return None
            case "late":
                self.coming.append((key, body))
                return None
            case "slow":
                self.working[key] = 2
                return None
            case "other":
                self._execute(key, {**body, "amount": "another"})
                return None
            case "lose_reply":
                self._execute(key, body)
                return None
            case "surplus":
                for _ in range(5):
                    self._execute(key, body)
                return None
            case "decline" | "lose_decline":
                self.failed.append(self.made(len(self.failed), key, failed=True))
                told = self._keep(key, body, self.says["decline"])
                return told if word == "decline" else None
            case "broken" | "broken_after":
                if word == "broken_after":
                    self.paid.append(self.made(len(self.paid), key))
                return self._keep(key, body, self.says["broken"])
            case _:
                return self._execute(key, body)

    def _execute(self, key: str, body: Body) -> Told:
        payment = self.made(len(self.paid), key)
        self.paid.append(payment)
        return self._keep(key, body, self.reply(payment))

    def _keep(self, key: str, body: Body, told: Told) -> Told:
        if self.keeps(told[0]):
            self.kept[key] = (_print_of(body), told)
        return told


def _print_of(body: Body) -> str:
    return json.dumps(body, sort_keys=True)


class _Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()


@contextmanager
def served(provider: Provider) -> Generator[Provider]:
    """The provider on a port of the system's choice, in a thread of its own."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    provider.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = uvicorn.Config(
        provider,
        http=BreakableProtocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_level="critical",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        assert server.listens.wait(10)
        yield provider
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()

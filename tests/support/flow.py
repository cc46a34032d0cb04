"""A flow on a plain asyncio loop: the port that a StepCall talks to, with results given by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from saga.calls import Called, Wait, running_flow
from saga.core.model import MomentKind

T = TypeVar("T")


class HandFlow:
    """Numbers the calls, and remembers what it was told. Implements `saga.calls.Flow`."""

    def __init__(self) -> None:
        self.calls: list[Called[Any]] = []
        self.begun: dict[str, asyncio.Future[Any]] = {}
        self.arguments: dict[str, str] = {}
        self.told: list[tuple[str, str]] = []
        self._ordinals: dict[str, int] = {}

    def identify(self, name: str) -> str:
        self._ordinals[name] = self._ordinals.get(name, 0) + 1
        return f"{name}#{self._ordinals[name]}"

    def created(self, call: Called[Any]) -> None:
        self.calls.append(call)

    def wait(self, call: Wait[Any]) -> asyncio.Future[Any]:
        return self.begin(call, "")

    def draw(self, kind: MomentKind) -> Any:
        return self.identify(kind)

    def dropped(self, identity: str) -> None:
        self.told.append(("dropped", identity))

    def begin(self, call: Called[Any], arguments: str) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.begun[call.identity] = future
        self.arguments[call.identity] = arguments
        return future

    def unwanted(self, identity: str) -> None:
        self.told.append(("unwanted", identity))

    def degraded(self, identity: str, reason: str) -> None:
        self.told.append(("degraded", f"{identity}: {reason}"))

    async def run(self, saga: Callable[[], Awaitable[T]]) -> asyncio.Task[T]:
        """Start a saga function under this flow, and let it run until it waits."""

        async def main() -> T:
            running_flow.set(self)
            return await saga()

        task = asyncio.get_running_loop().create_task(main())
        await idle()
        return task

    async def give(self, identity: str, result: Any) -> None:
        self.begun[identity].set_result(result)
        await idle()

    async def fail(self, identity: str, error: Exception) -> None:
        self.begun[identity].set_exception(error)
        await idle()


async def idle() -> None:
    """Let everything that can run, run."""
    for _ in range(20):
        await asyncio.sleep(0)

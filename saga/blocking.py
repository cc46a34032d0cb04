"""`engine.blocking`: the engine for code without an event loop. A thin face, no second implementation.

Rule: with `within=` the INSERT runs on the caller's thread, through the caller's object; everything else runs
on one event loop in a thread of its own, which a process that exits does not wait for.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterable, Mapping
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID

from saga.core.durations import Duration
from saga.definition import SagaDefinition
from saga.handle import Handle, SagaView
from saga.signals import Signal
from saga.starting import how
from saga.store import starts

if TYPE_CHECKING:
    from saga.engine import Engine

T = TypeVar("T")
In = TypeVar("In")
Out = TypeVar("Out")


class BlockingHandle(Generic[Out]):
    """`Handle`, waiting."""

    def __init__(self, face: BlockingEngine, handle: Handle[Out]) -> None:
        self._face = face
        self._handle = handle

    @property
    def id(self) -> UUID | None:
        """The saga's id, where it is known."""
        return self._handle.id

    @property
    def key(self) -> str:
        """The business key."""
        return self._handle.key

    def view(self, wait: Duration | None = None) -> SagaView:
        """As `Handle.view`."""
        return self._face.wait_for(self._handle.view(wait))

    def result(self, timeout: Duration | None = None) -> Out:
        """As `Handle.result`."""
        return self._face.wait_for(self._handle.result(timeout))

    def send(self, signal: Signal[T], payload: T, *, key: str | None = None) -> None:
        """As `Handle.send`."""
        self._face.wait_for(self._handle.send(signal, payload, key=key))

    def cancel(self, because: str) -> None:
        """As `Handle.cancel`."""
        self._face.wait_for(self._handle.cancel(because))


class BlockingEngine:
    """`Engine`, waiting."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def start(
        self,
        saga: SagaDefinition[In, Out],
        input: In,
        *,
        key: str,
        within: object = None,
        after: Duration | None = None,
        at: datetime | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> BlockingHandle[Out]:
        """As `Engine.start`, with a sync object as `within`.

        Raises:
            TypeError: `within` is an async object: await `engine.start` in its own loop.
        """
        if starts.is_async(within):
            raise TypeError(
                f"within={type(within).__name__} is async: await engine.start(…) in its own event loop"
            )
        if within is None:
            starting = self._engine.start(saga, input, key=key, after=after, at=at, tags=tags)
            return BlockingHandle(self, self.wait_for(starting))
        new = self._engine.new(saga, input, key, how(after, at, tags))
        started = starts.start_sync(within, self._engine.schema, new)
        if started is None:
            raise TypeError(
                f"within={type(within).__name__} is no transaction: give a SQLAlchemy Session or Connection, "
                "Django's connection, or a psycopg connection"
            )
        return BlockingHandle(self, self._engine.started(saga, new, started, within=True))

    def start_many(
        self,
        saga: SagaDefinition[In, Out],
        inputs: Iterable[tuple[str, In]],
        *,
        after: Duration | None = None,
        at: datetime | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> list[BlockingHandle[Out]]:
        """As `Engine.start_many`."""
        starting = self._engine.start_many(saga, inputs, after=after, at=at, tags=tags)
        return [BlockingHandle(self, one) for one in self.wait_for(starting)]

    def send(
        self,
        saga: SagaDefinition[Any, Any],
        signal: Signal[T],
        payload: T,
        *,
        to: str,
        key: str | None = None,
    ) -> None:
        """As `Engine.send`."""
        self.wait_for(self._engine.send(saga, signal, payload, to=to, key=key))

    def handle(self, saga: SagaDefinition[Any, Out], *, key: str) -> BlockingHandle[Out]:
        """As `Engine.handle`."""
        return BlockingHandle(self, self._engine.handle(saga, key=key))

    def close(self) -> None:
        """Close its connections."""
        self.wait_for(self._engine.close())

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, name="saga-blocking", daemon=True).start()
        return loop

    def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` on the face's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

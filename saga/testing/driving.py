"""Drives a simulated world from the test's own loop.

Rules that hold here: the machine runs in a plain callback of the loop, never inside a task, because tasks do not nest;
whatever waits on a handle of this world lets virtual time pass, and no other.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from typing import Any, TypeVar

from saga.answers import Answer
from saga.core.durations import Duration
from saga.definition import SagaDefinition
from saga.engine import Engine
from saga.handle import Handle, SagaView
from saga.signals import Signal
from saga.store import operators
from saga.store.acts import Act
from saga.store.starts import NewSaga, Started
from saga.testing.planning import Plans
from saga.testing.simulation.chance import Scripted
from saga.testing.simulation.ledger import Ledger
from saga.testing.simulation.simulation import CANARY
from saga.testing.stage import GrowingEngine, Stage
from saga.testing.virtual import Virtual, setting

In = TypeVar("In")
Out = TypeVar("Out")
T = TypeVar("T")


class VirtualEngine(GrowingEngine):
    """The production engine on the database of the machine that it runs on; its handles let virtual time pass."""

    def __init__(self) -> None:
        super().__init__(secret=CANARY)
        self.stage: VirtualStage | None = None

    async def prepare(self) -> None:
        """There is nothing to check."""

    @cached_property
    def url(self) -> str:
        """A name that nobody connects to."""
        return "postgresql://simulated/simulated"

    def started(
        self, saga: SagaDefinition[Any, Out], new: NewSaga, started: Started, *, within: bool
    ) -> Handle[Out]:
        """A handle that can be used in the test."""
        made = super().started(saga, new, started, within=within)
        if self.stage is None:
            return made
        return _Handle(self, saga, key=made.key, saga_id=made.id, stage=self.stage)


class _Handle(Handle[Out]):
    """A handle whose waiting is virtual."""

    def __init__(
        self, engine: Engine, saga: SagaDefinition[Any, Out], *, key: str, saga_id: Any, stage: VirtualStage
    ) -> None:
        super().__init__(engine, saga, key=key, saga_id=saga_id)
        self._stage = stage

    async def view(self, wait: Duration | None = None) -> SagaView:
        """As in production."""
        return await self._stage.ask(super().view(wait))

    async def result(self, timeout: Duration | None = None) -> Out:
        """As in production."""
        return await self._stage.ask(super().result(timeout))

    async def cancel(self, because: str) -> None:
        """As in production."""
        await self._stage.cancel(self, because)

    async def send(self, signal: Signal[T], payload: T, *, key: str | None = None) -> None:
        """As in production."""
        await self._stage.ask(super().send(signal, payload, key=key))


class VirtualStage(Stage):
    """Drives a `Virtual` from the test's loop."""

    patience = timedelta(days=1)

    def __init__(self, plans: Plans) -> None:
        self._engine = VirtualEngine()
        self._engine.stage = self
        self._plans = plans
        self._begun: Virtual | None = None

    @property
    def ledger(self) -> Ledger:
        """What the services wrote down."""
        return Ledger() if self._begun is None else self._begun.ledger

    @property
    def _virtual(self) -> Virtual:
        """The machines; they begin outside every task, because they run at once."""
        if self._begun is None:
            self._begun = Virtual(self._engine, self._plans, Scripted({}), setting())
        return self._begun

    async def open(self) -> None:
        """Everything can wait."""

    async def ask(self, question: Coroutine[Any, Any, T]) -> T:
        """Ask as a customer."""
        return await outside(lambda: self._virtual.ask(question))

    async def start(
        self, saga: SagaDefinition[In, Out], input: In, key: str, after: Duration | None
    ) -> Handle[Out]:
        """Start a saga, after a while."""
        self._engine.learn(saga)
        return await self.ask(self._engine.start(saga, input, key=key, after=after))

    async def rest(self, handle: Handle[Any], within: timedelta) -> None:
        """Let time pass until the saga rests."""
        await outside(lambda: self._virtual.until_rest(within.total_seconds(), handle.id))
        self._virtual.check()

    async def advance(self, seconds: float) -> None:
        """Let time pass."""
        await outside(lambda: self._virtual.machine.run(self._virtual.machine.now + seconds))
        self._virtual.check()

    def kill_worker(self) -> None:
        """Kill -9."""
        if self._begun is not None:
            self._begun.kill_all()

    async def witness(self, key: str, answer: Answer[Any]) -> None:
        """News of an effect."""
        await self.ask(self._engine.witness(key, answer))

    async def cancel(self, handle: Handle[Any], because: str) -> None:
        """Ask the saga to stop and undo."""
        await self.ask(self._cancel(handle, because))

    async def send(self, handle: Handle[Any], signal: Signal[T], payload: T, key: str | None) -> None:
        """Send the saga a signal."""
        await handle.send(signal, payload, key=key)

    async def _cancel(self, handle: Handle[Any], because: str) -> None:
        assert handle.id is not None, "it was started here"
        (row,) = (row for row in self._virtual.database.rows("saga") if row["id"] == handle.id)
        async with self._engine.connection() as connection:
            await operators.cancel(
                connection, self._engine.schema, Act(handle.id, row["revision"], "application", because)
            )

    async def close(self) -> None:
        """End it."""
        self.drop()

    def drop(self) -> None:
        """The same, for a fixture that cannot wait."""
        if self._begun is not None:
            with _no_hooks():
                self._begun.close()


async def outside(act: Callable[[], T]) -> T:
    """Do this in a plain callback of the running loop, outside every task: tasks do not nest."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def call() -> None:
        try:
            with _no_hooks():
                result = act()
        except BaseException as error:  # noqa: BLE001 - whoever waits raises it
            if not done.done():
                done.set_exception(error)
        else:
            if not done.done():
                done.set_result(result)

    loop.call_soon(call)
    return await done


@contextmanager
def _no_hooks() -> Generator[None]:
    """Asynchronous generators of simulated processes are none of the test's loop's, which would close them."""
    first, last = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        yield
    finally:
        sys.set_asyncgen_hooks(first, last)

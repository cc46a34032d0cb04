"""One run of a saga function on its own loop: what it calls, what it is given, how it ends.

Rules that hold here: an identity is branch path, name and ordinal within the branch, fixed when the step is
called; a branch is a task in which a step is called, numbered by its parent at its first step call; results
are given one at a time, each when the loop is idle. Nothing here waits, reads a clock or knows a database.
"""

from __future__ import annotations

import asyncio
import contextvars
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from saga.calls import Called, StepCall, Wait, running_flow
from saga.core.model import MomentKind
from saga.definition import SagaDefinition
from saga.errors import StepFailed, only_step_failures, step_failures
from saga_worker.loop import SagaLoop


@dataclass(slots=True)
class Scope:
    """One branch: its path, the ordinals of its steps, and how many branches came out of it."""

    path: str
    task: asyncio.Task[Any] | None
    ordinals: dict[str, int] = field(default_factory=dict[str, int])
    branches: int = 0


@dataclass(frozen=True, slots=True)
class Begun:
    """An effect that the function awaits. `position` counts the starts, of effects and waits."""

    call: StepCall[Any]
    position: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A wait that the function awaits. `position`: as of an effect."""

    call: Wait[Any]
    position: int


@dataclass(frozen=True, slots=True)
class Returned:
    """The function returned; `forgotten`: steps that were never awaited, and tasks at whose failure nobody looked."""

    value: Any
    forgotten: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """The function raised a step's failure: the saga turns backward."""

    error: StepFailed


@dataclass(frozen=True, slots=True)
class Broke:
    """The function raised anything else: a bug, and nothing is compensated."""

    error: BaseException
    detail: str


@dataclass(frozen=True, slots=True)
class FellBack:
    """What took the place of an effect. age: of a last good value, in seconds; None: it is no old value."""

    reason: str
    age: float | None = None


FlowEnd = Returned | Failed | Broke

_scope: contextvars.ContextVar[Scope] = contextvars.ContextVar("saga_scope")


class Stopping(asyncio.CancelledError):
    """The engine takes the function out of memory: no step starts any more, and none is recorded (S32a)."""


def _no_draws(identity: str, kind: MomentKind, position: int) -> Any:
    raise AssertionError(f"nobody draws {kind} at {position} as {identity}")


class SagaFlow:
    """Drives one saga function. Implements `saga.calls.Flow`."""

    def __init__(self, definition: SagaDefinition[Any, Any], value: Any) -> None:
        """Create the function's task; nothing runs before `drive`."""
        self._definition = definition
        self._loop = SagaLoop()  # type: ignore[abstract]  # set below its class
        self._futures: dict[str, asyncio.Future[Any]] = {}
        self._calls: list[Called[Any]] = []
        self._begun: list[Begun] = []
        self._waiting: list[Waiting] = []
        self._positions = 0
        self._closing = False
        self.unwanted_steps: set[str] = set()
        self.dropped_waits: set[str] = set()
        self.degradations: dict[str, FellBack] = {}
        self.on_unwanted: Callable[[], None] = lambda: None
        self.on_draw: Callable[[str, MomentKind, int], Any] = _no_draws
        context = contextvars.copy_context()
        context.run(running_flow.set, self)
        root = Scope("", None)
        context.run(_scope.set, root)
        self._main: asyncio.Task[Any] = context.run(self._create_main, value, context)
        root.task = self._main

    def _create_main(self, value: Any, context: contextvars.Context) -> asyncio.Task[Any]:
        return self._loop.create_task(
            self._definition.function(value), name=self._definition.name, context=context
        )

    def drive(self) -> None:
        """Run the function until it waits for results, or ends."""
        self._loop.drive()

    def take_begun(self) -> list[Begun]:
        """The effects that were begun since the last time."""
        begun, self._begun = self._begun, []
        return begun

    def take_waiting(self) -> list[Waiting]:
        """The waits that were begun since the last time."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def gives(self, identity: str) -> bool:
        """Whether the function waits for this effect."""
        return identity in self._futures

    def give(self, identity: str, result: Any) -> None:
        """Hand over a result; `drive` then carries on."""
        self._futures.pop(identity).set_result(result)

    def fail(self, identity: str, error: StepFailed) -> None:
        """Hand over a failure; `drive` then carries on."""
        self._futures.pop(identity).set_exception(error)

    def end(self) -> FlowEnd | None:
        """How the function ended, or None while it waits."""
        if not self._main.done():
            return None
        if self._main.cancelled():
            return Broke(asyncio.CancelledError(), "the saga function cancelled itself")
        error = self._main.exception()
        if error is None:
            called = [call.identity for call in self._calls if not call.awaited]
            forgotten = dict.fromkeys([*called, *self._futures, *self._loop.unseen()])
            return Returned(self._main.result(), tuple(forgotten))
        if only_step_failures(error):
            return Failed(step_failures(error)[0])
        return Broke(error, "".join(traceback.format_exception(error)))

    def close(self) -> None:
        """Take the function, and every task of it, out of memory: clean-up code runs, and can start nothing."""
        if self._closing:
            return
        self._closing = True
        for task in list(self._loop.tasks):
            task.cancel()
        for future in self._futures.values():
            future.cancel()  # a StepCall holds a cancellation back until its effect is settled
        self._loop.drive()
        for call in self._calls:
            call.close()

    # The port that what was called talks to.

    def identify(self, name: str) -> str:
        """Branch path, name, ordinal within the branch."""
        scope = _scope.get()
        current = asyncio.current_task()
        if current is not scope.task:
            scope.branches += 1
            prefix = f"{scope.path}/" if scope.path else ""
            scope = Scope(f"{prefix}{scope.branches}", current)
            _scope.set(scope)
        ordinal = scope.ordinals[name] = scope.ordinals.get(name, 0) + 1
        return f"{scope.path}/{name}#{ordinal}" if scope.path else f"{name}#{ordinal}"

    def created(self, call: Called[Any]) -> None:
        """Keep count of calls, so that a forgotten one is found."""
        if self._closing:
            raise Stopping
        if isinstance(call, StepCall):
            self._definition.require(call.step)
        elif isinstance(call, Wait) and call.signal is not None:
            self._definition.require_signal(call.signal)
        self._calls.append(call)

    def begin(self, call: StepCall[Any], arguments: str) -> asyncio.Future[Any]:
        """Begin an effect; the runner takes it from here."""
        del arguments  # the call carries them
        future = self._awaited(call)
        self._begun.append(Begun(call, self._positions))
        return future

    def wait(self, call: Wait[Any]) -> asyncio.Future[Any]:
        """Begin a wait; the runner takes it from here."""
        future = self._awaited(call)
        self._waiting.append(Waiting(call, self._positions))
        return future

    def _awaited(self, call: Called[Any]) -> asyncio.Future[Any]:
        if self._closing:
            raise Stopping
        future = self._futures[call.identity] = self._loop.create_future()
        self._positions += 1
        return future

    def draw(self, kind: MomentKind) -> Any:
        """What was drawn here before, or is drawn now."""
        if self._closing:
            raise Stopping
        self._positions += 1
        return self.on_draw(self.identify(kind), kind, self._positions)

    def dropped(self, identity: str) -> None:
        """Whoever awaited it was cancelled: it brings nothing any more."""
        self._futures.pop(identity, None)
        self.dropped_waits.add(identity)

    def unwanted(self, identity: str) -> None:
        """Whoever awaited it was cancelled: it is settled, and sent no more."""
        self.unwanted_steps.add(identity)
        self.on_unwanted()

    def degraded(self, identity: str, reason: str, age: float | None = None) -> None:
        """A fallback took the effect's place, or a value that is `age` seconds old."""
        self.degradations[identity] = FellBack(reason, age)

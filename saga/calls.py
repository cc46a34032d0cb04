"""`StepCall`: what calling a step in a saga function gives; `Wait`: a sleep; `Flow`: what drives that function.

Rules that hold here: an effect's identity and arguments are fixed when the step is *called*, and it begins
when it is first *awaited*; cancelling a `StepCall` never cancels the effect, the cancellation is delivered
when the effect is settled; a fallback runs only after that, too, and so does the look for a last good value.
A wait has nothing to settle, and is cancelled at once. `Flow` is the port to whatever drives the saga: the worker, and
nothing else.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, overload

from saga.call import Call, current_call
from saga.core.durations import Duration, parse
from saga.core.model import MomentKind
from saga.core.promises import Kind
from saga.errors import NotExecuted, StepFailed

if TYPE_CHECKING:
    from saga.signals import Signal
    from saga.steps import Step

__all__ = ["Call", "Called", "Flow", "StepCall", "Wait", "current_call", "running_flow"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

OLDEST = timedelta(days=3650)
"""A longer `max_age` is a mistake, and near the end of what Postgres can count."""


@dataclass(frozen=True, slots=True)
class LastGood:
    """That a call may be given what the step returned before. key: instead of its arguments; None: by these."""

    max_age: timedelta
    key: str | None


class Flow(Protocol):
    """What drives a saga function: the port that the worker implements."""

    def identify(self, name: str) -> str:
        """The identity of the next call of this step at this place, such as "charge#1" or "2/charge#1"."""
        ...

    def created(self, call: Called[Any]) -> None:
        """A step, or a wait, was called; raises when it may not be. `call.awaited` tells later whether it was awaited."""
        ...

    def begin(self, call: StepCall[Any], arguments: str) -> asyncio.Future[Any]:
        """Begin the effect. The future gives the decoded result, or raises `Refused` or `NotExecuted`."""
        ...

    def unwanted(self, identity: str) -> None:
        """Whoever awaited the effect was cancelled: settle it, and send nothing more."""
        ...

    def degraded(self, identity: str, reason: str) -> None:
        """A fallback takes the place of the effect."""
        ...

    def wait(self, call: Wait[Any]) -> asyncio.Future[Any]:
        """Begin a wait. The future ends when it does."""
        ...

    def draw(self, kind: MomentKind) -> Any:
        """What was drawn at this place: recorded once, and the same on replay. As JSON says it."""
        ...

    def dropped(self, identity: str) -> None:
        """Whoever awaited the wait was cancelled: it is over, and brings nothing any more."""
        ...


running_flow: ContextVar[Flow | None] = ContextVar("saga_running_flow", default=None)
"""The flow of the saga function that is running here."""


class Called(Coroutine[Any, Any, T_co]):
    """Something durable that was called: its identity is fixed, and it begins when it is awaited, once.

    A coroutine, so that `asyncio.gather`, `TaskGroup.create_task` and `together` take it. base: what it stands for, which
    nobody else awaits.
    """

    def __init__(
        self, identity: str, run: Callable[[], Coroutine[Any, Any, T_co]], base: Called[Any] | None = None
    ) -> None:
        self.identity = identity
        self.awaited = False
        self.__name__ = identity  # what asyncio shows as the name of a task's coroutine
        self._run = run
        self._base = base
        self._running: Coroutine[Any, Any, T_co] | None = None

    def __await__(self) -> Generator[Any, Any, T_co]:
        return self._begin().__await__()

    def send(self, value: Any, /) -> Any:
        """Drive it as a task does."""
        if self._running is None:
            self._running = self._begin()
        return self._running.send(value)

    def throw(self, typ: Any, val: Any = None, tb: Any = None, /) -> Any:
        """Deliver an exception as a task does; before the first `send` it never begins."""
        error = val if isinstance(val, BaseException) else typ if isinstance(typ, BaseException) else typ()
        if self._running is None:
            self.close()
            raise error.with_traceback(tb) if tb is not None else error
        return self._running.throw(error)

    def close(self) -> None:
        """End it where it is. Whoever closes it does not want it, so it does not count as forgotten."""
        self.awaited = True
        if self._running is not None:
            self._running.close()
        elif self._base is not None:
            self._base.close()  # nothing will await it any more

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.identity}>"

    def _begin(self) -> Coroutine[Any, Any, T_co]:
        if self.awaited:
            raise RuntimeError(f"{self.identity} was awaited before: keep its result, or call it again")
        self.awaited = True
        return self._run()


class StepCall(Called[T_co]):
    """A step that was called; the effect begins when it is awaited."""

    def __init__(
        self,
        identity: str,
        step: Step[..., Any],
        arguments: str,
        flow: Flow,
        *,
        run: Callable[[], Coroutine[Any, Any, T_co]] | None = None,
        base: StepCall[Any] | None = None,
    ) -> None:
        super().__init__(identity, run or self._effect, base)
        self.step = step
        self.arguments = arguments
        self.wants_last_good: LastGood | None = None
        self._flow = flow

    @overload
    def or_else(
        self: StepCall[T], f: Callable[[], Awaitable[T]], *, on: type[StepFailed] = ...
    ) -> StepCall[T]: ...
    @overload
    def or_else(self: StepCall[T], f: Callable[[], T], *, on: type[StepFailed] = ...) -> StepCall[T]: ...
    def or_else(
        self: StepCall[T], f: Callable[[], Awaitable[T] | T], *, on: type[StepFailed] = NotExecuted
    ) -> StepCall[T]:
        """The same step with a fallback, which runs only when the effect is settled as not landed.

        Args:
            f: a step, an async function, or a plain function that gives the value.
            on: by default only when the service could not be had; `Refused` or `StepFailed` by choice.
        """

        async def run() -> T:
            try:
                return await self
            except on as failure:
                self._flow.degraded(self.identity, str(failure))
                value: Any = f()
                return cast("T", await value if inspect.isawaitable(value) else value)

        return StepCall(self.identity, self.step, self.arguments, self._flow, run=run, base=self)

    def or_none(self) -> StepCall[T_co | None]:
        """The same step, giving None when it failed: it may fail, and the saga is then *degraded*."""

        async def run() -> T_co | None:
            try:
                return await self
            except StepFailed as failure:
                self._flow.degraded(self.identity, str(failure))
                return None

        return StepCall(self.identity, self.step, self.arguments, self._flow, run=run, base=self)

    def last_good(self, *, max_age: Duration, key: str | None = None) -> StepCall[T_co]:
        """The same step, giving what it returned last when it could not be had: the saga is then *degraded*.

        Each success is kept for the next time, shared by all workers; the value that took the place of a failure is
        recorded with its age, so that a replay gives the same. Where there is none the failure stays what it was, and
        `.or_else(…)` and `.or_none()` behind this see it. A refusal is an answer, and no reason to look.

        Args:
            max_age: no older than that, such as "1h". At most ten years.
            key: what the value belongs to (a driver, a user) where the arguments differ from call to call; by default
                the arguments.

        Raises:
            RuntimeError: the step is not `reads=True`, or this does not stand directly behind the call.
            ValueError, TypeError: no such duration; an empty key.
        """
        where = f"{self.step.name}(…).last_good"
        if self.step.policy.kind is not Kind.READS:
            raise RuntimeError(
                f"{where}: the step is not reads=True, and an old result would say that something was done which was "
                f"not: use .or_else(…), or .or_none()"
            )
        if self._base is not None or self.wants_last_good is not None or self.awaited:
            raise RuntimeError(
                f"{where} stands directly behind the call, once: {self.step.name}(…).last_good(…).or_else(…)"
            )
        limit = parse(max_age)
        if not timedelta(0) < limit <= OLDEST:
            raise ValueError(f"{where}: max_age is more than zero and at most ten years, not {max_age!r}")
        if key is not None and not key:
            raise ValueError(
                f"{where}: an empty key would be everybody's: leave it out, or name what it is of"
            )
        self.wants_last_good = LastGood(limit, key)
        return self

    async def _effect(self) -> T_co:
        settled = self._flow.begin(self, self.arguments)
        cancelled: asyncio.CancelledError | None = None
        while not settled.done():
            try:
                await _wake_of(settled)
            except asyncio.CancelledError as cancel:
                if cancelled is None:
                    self._flow.unwanted(self.identity)
                cancelled = cancelled or cancel
        if cancelled is not None:
            if not settled.cancelled():
                settled.exception()  # nobody else will ask, and asyncio would complain that nobody did
            raise cancelled
        return cast("T_co", settled.result())


class Wait(Called[T_co]):
    """A wait that was called; its time runs from when it is awaited.

    kind: what for. seconds: until it is due, or None where only something else ends it. signal: the one that it waits for.
    """

    def __init__(
        self,
        identity: str,
        flow: Flow,
        kind: MomentKind,
        seconds: float | None,
        *,
        signal: Signal[T_co] | None = None,
    ) -> None:
        super().__init__(identity, self._until_over)
        self.kind = kind
        self.seconds = seconds
        self.signal = signal
        self._flow = flow

    async def _until_over(self) -> T_co:
        try:
            return cast("T_co", await self._flow.wait(self))
        except asyncio.CancelledError:
            self._flow.dropped(self.identity)
            raise


def _wake_of(settled: asyncio.Future[Any]) -> asyncio.Future[None]:
    """A future of its own that ends with `settled`: cancelling it leaves `settled` alone."""
    wake: asyncio.Future[None] = settled.get_loop().create_future()

    def ring(_: asyncio.Future[Any]) -> None:
        if not wake.done():
            wake.set_result(None)

    settled.add_done_callback(ring)
    return wake

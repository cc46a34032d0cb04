"""A handle on one saga: what it is doing, and what came of it.

Rules that hold here: `view.status` is an invariant and never a label (see `saga.core.model.view_of`); waiting
for a saga whose transaction is not committed is an error and not an endless wait.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID

from saga.clock import boottime
from saga.core.durations import Duration, parse
from saga.core.model import SagaStatus, View
from saga.definition import SagaDefinition
from saga.errors import (
    NotCommitted,
    NotFoundError,
    SagaAbandoned,
    SagaError,
    SagaFailed,
    SagaPurged,
    StillProcessing,
)
from saga.signals import Signal
from saga.store.views import SagaState

if TYPE_CHECKING:
    from saga.engine import Engine

Out = TypeVar("Out")
T = TypeVar("T")

POLL_FIRST_S, POLL_MORE, POLL_MOST_S = 0.002, 1.25, 0.25


@dataclass(frozen=True, slots=True)
class Degraded:
    """A step that a fallback took the place of, and why. age: of the last good value that it was; None: it was none."""

    step: str
    reason: str
    age: timedelta | None = None


@dataclass(frozen=True, slots=True)
class SagaView:
    """What may be said of a saga.

    status: the only word for the customer. degraded: the steps that fell back. needs_person: an operator's
    problem, which is still "processing" for the customer. reason: for logs and operators, not for customers.
    purged: it has ended long ago, and nothing but its end is known any more.
    """

    id: UUID
    key: str
    status: View
    degraded: tuple[Degraded, ...]
    needs_person: bool
    reason: str | None
    purged: bool = False


class Handle(Generic[Out]):
    """One saga, by its id or by its key."""

    def __init__(
        self,
        engine: Engine,
        definition: SagaDefinition[Any, Out],
        *,
        key: str,
        saga_id: UUID | None = None,
        within: bool = False,
    ) -> None:
        self._engine = engine
        self._definition = definition
        self._within = within
        self.key = key
        self.id = saga_id

    async def view(self, wait: Duration | None = None) -> SagaView:
        """What may be said of the saga, after at most `wait` for its end.

        Raises:
            NotCommitted: its transaction is not committed yet, or was rolled back.
            NotFoundError: nobody started it.
        """
        return _view(await self._watch(wait))

    async def result(self, timeout: Duration | None = None) -> Out:
        """The saga's output.

        Args:
            timeout: how long to wait for the end; None waits for ever.

        Raises:
            SagaFailed: it ended without its result, and everything is undone.
            SagaAbandoned: an operator ended it.
            SagaPurged: it completed so long ago that its result was purged.
            SagaError: it completed under another version, whose output is not of this version's type.
            StillProcessing: it has not ended within `timeout`.
            NotCommitted, NotFoundError: as in `view`.
        """
        state = await self._watch(timeout, for_ever=timeout is None)
        view = _view(state)
        match state.status:
            case SagaStatus.COMPLETED if state.purged:
                raise SagaPurged(
                    f"saga {self.key} completed, and was purged since: its result is gone, and its key stays taken; "
                    "look where you kept the result, or choose a new key for a new saga",
                    view=view,
                )
            case SagaStatus.COMPLETED:
                return self._output(state)
            case SagaStatus.COMPENSATED:
                raise SagaFailed(f"saga {self.key} was {view.status}: {_because(state)}", view=view)
            case SagaStatus.ABANDONED:
                raise SagaAbandoned(f"saga {self.key} was abandoned by an operator", view=view)
            case _:
                raise StillProcessing(f"saga {self.key} has not ended yet: ask again later", view=view)

    async def send(self, signal: Signal[T], payload: T, *, key: str | None = None) -> None:
        """Send the saga a signal, which it need not wait for yet. It is given to one wait, once.

        Args:
            signal: one that the saga waits for.
            payload: of the signal's class.
            key: under one key a signal is sent once, however often that is tried; give one where you may try again.

        Raises:
            InputError: the payload has the wrong shape, or the saga waits for no such signal; nothing was written.
            KeyConflict: the key was used with another payload.
            AlreadyEnded: the saga has ended, or is being undone.
            NotCommitted, NotFoundError: as in `view`.
        """
        try:
            await self._engine.send(self._definition, signal, payload, to=self.key, key=key)
        except NotFoundError:
            await self._read()  # which says better what that means
            raise

    def _output(self, state: SagaState) -> Out:
        try:
            return self._definition.decode_output(state.output or "null")
        except ValueError as error:
            if state.version == self._definition.version:
                raise
            name, mine = self._definition.name, self._definition.version
            raise SagaError(
                f"saga {self.key} completed under version {state.version} of {name}, and its output does not fit version "
                f"{mine}: ask with the definition of version {state.version}, engine.handle(…, key={self.key!r}) ({error})"
            ) from None

    async def cancel(self, because: str) -> None:
        """Ask the saga to stop and undo; the answer is *requested*, its owner decides (S31).

        Raises:
            Unsafe: too late, it has ended or is being undone already.
        """
        state = await self._read()
        await self._engine.operator(who="application").cancel(str(state.id), because=because)

    async def _watch(self, wait: Duration | None, *, for_ever: bool = False) -> SagaState:
        until = boottime() + (0.0 if wait is None else parse(wait).total_seconds())
        pause = POLL_FIRST_S
        state = await self._read()
        while not _ended(state) and (for_ever or boottime() < until):
            await asyncio.sleep(pause if for_ever else min(pause, max(0.0, until - boottime())))
            pause = min(pause * POLL_MORE, POLL_MOST_S)
            state = await self._read()
        return state

    async def _read(self) -> SagaState:
        state = await self._engine.read(self.id, self._definition.name, self.key)
        if state is not None:
            return state
        if self._within:
            raise NotCommitted(
                f"saga {self.key} is not committed yet, or was rolled back: commit your transaction, then wait"
            )
        raise NotFoundError(
            f"there is no saga {self._definition.name} with the key {self.key!r}: start it first"
        )

    def __repr__(self) -> str:
        return f"<handle on {self._definition.name} {self.key}>"


def _ended(state: SagaState) -> bool:
    return state.status in {SagaStatus.COMPLETED, SagaStatus.COMPENSATED, SagaStatus.ABANDONED}


def _because(state: SagaState) -> str:
    error = state.error or {}
    return " ".join(str(error[word]) for word in ("code", "message") if error.get(word)) or str(
        error.get("cause")
    )


def _age(degraded: dict[str, Any]) -> timedelta | None:
    age: float | None = degraded.get("age")
    return None if age is None else timedelta(seconds=age)


def _view(state: SagaState) -> SagaView:
    fell_back = tuple(Degraded(d["step"], d["reason"], _age(d)) for d in state.degraded)
    reason = state.park_reason if state.needs_person else (_because(state) if state.error else None)
    return SagaView(state.id, state.key, state.view, fell_back, state.needs_person, reason, state.purged)

"""One saga's record, replayed by the code that is here, to learn whether it could go on. Nothing is sent, nothing is written.

Rules that hold here: the function is driven by the very code that drives it in a worker (`Forward`), with the recorded
results and nothing else; what it calls beyond its record is noted and never begun; it is driven from a plain callback
and never from inside a task, as in a worker.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from saga.core.model import Direction, EffectStatus, ParkCause, SagaStatus
from saga.definition import SagaDefinition
from saga.engine import Engine
from saga.store.sagas import Recorded, SagaRow
from saga_worker import records
from saga_worker.backward import link_undone
from saga_worker.book import Book
from saga_worker.clocks import Clocks
from saga_worker.effects import LiveEffect
from saga_worker.forward import Forward, landed_result
from saga_worker.recalled import Recalled
from saga_worker.records import CodeChanged


class Unfit(StrEnum):
    """Why the code cannot go on with a saga: what `saga stuck` would call it."""

    NOT_SERVED = "not_served"
    """It has no such version: the saga would wait."""
    CODE_CHANGED = "code_changed"
    """It asks for something else than what is recorded: the saga would park."""
    CODE_FAILED = "code_failed"
    """The function breaks, or the record contradicts itself: the saga would park."""
    NOT_AWAITED = "not_awaited"
    """The function returns with a step that it never awaited: the saga would park."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """A saga that the code cannot go on with, in the words of the parking; `recorded`, `called`: both sides."""

    kind: Unfit
    reason: str
    recorded: Any = None
    called: Any = None


class Rehearsal:
    """One replay. Implements `saga_worker.forward.Driver`."""

    def __init__(
        self, engine: Engine, saga: SagaRow, definition: SagaDefinition[Any, Any], now: datetime
    ) -> None:
        """Nothing happens before `misfit`. now: the database's."""
        self.saga = saga
        self.definition = definition
        self.effects = Book(engine, Counter(), saga, definition)
        self.moments = Recalled(self.effects, lambda: now)
        self._now = now

    def misfit(self, recorded: Recorded) -> Misfit | None:
        """Why the code cannot go on with what is recorded; None if it can. A plain callback."""
        try:
            self.effects.load(recorded, Clocks(timedelta(seconds=1)))
            self.moments.load(recorded)
            records.check_loaded(self.saga, self.effects, (moment.completion for moment in self.moments.ends))
            return self._replay()
        except CodeChanged as changed:
            return Misfit(Unfit.CODE_CHANGED, str(changed), **changed.detail)
        except Exception as error:  # noqa: BLE001 - whatever the code raises would park the saga
            return Misfit(Unfit.CODE_FAILED, f"{type(error).__name__}: {error}")

    def _replay(self) -> Misfit | None:
        """As a worker takes it up (`Run.begin`): what landed late, the way back, or the function."""
        if self.saga.amendment is not None:
            self._undo([e for e in self.effects.landed_late() if e.step.compensation is not None])
        elif self.saga.direction == Direction.BACKWARD:
            plan = json.loads(self.saga.plan or "{}")["steps"]
            self._undo([e for e in map(self._recorded, plan) if e is not None])
        elif self._turns():
            self._undo(self._undoable())
        else:
            return self._forward()
        return None

    def _undo(self, effects: list[LiveEffect]) -> None:
        """All that a worker would need to undo these: the compensation, and the result that it gets."""
        link_undone(self)
        for effect in effects:
            if self.effects.get(effect.identity, Direction.BACKWARD) is None:
                self.effects.undo(effect, landed_result(effect))

    def _recorded(self, identity: str) -> LiveEffect | None:
        return self.effects.get(identity, Direction.FORWARD)

    def _landed(self) -> list[LiveEffect]:
        return [e for e in self.effects.of(Direction.FORWARD) if e.status is EffectStatus.SUCCEEDED]

    def _undoable(self) -> list[LiveEffect]:
        return [e for e in self._landed() if e.step.compensation is not None]

    def _turns(self) -> bool:
        """Whether a cancel or the deadline turns it, so that its function is not called any more (S30, S31)."""
        deadline = self.saga.deadline_at
        asked = self.saga.cancel_requested or (deadline is not None and deadline <= self._now)
        return asked and not self._past_pivot()

    def _past_pivot(self) -> bool:
        return any(e.policy.pivot for e in self._landed())

    def _forward(self) -> Misfit | None:
        forward = Forward(self)
        try:
            forward.advance()
            parking = forward.parking
            if parking is not None and parking.cause is ParkCause.CODE_FAILED:
                return Misfit(Unfit.CODE_FAILED, parking.reason)
            if forward.failed is not None and not self._past_pivot():
                self._undo(self._undoable())
            return self._end(forward) if parking is None and forward.failed is None else None
        finally:
            forward.close()

    def _end(self, forward: Forward) -> Misfit | None:
        """How it would end, if it has returned."""
        if not all(effect.settled for effect in self.effects):
            return None
        end = forward.completed(0)
        if end is None or end.status is not SagaStatus.PARKED:
            return None
        return Misfit(Unfit(str(end.park_cause)), end.park_reason or "")

    # What a run does besides driving, and a rehearsal does not.

    def nudge_all(self) -> None:
        """Nothing waits here."""

    def resume(self, effect: LiveEffect) -> None:
        """Nothing is settled here: what is in doubt stays in doubt, and the function waits for it."""

    def idle(self) -> bool:
        """Whether every recorded effect is settled and no wait is open, so that no result can come any more."""
        return all(effect.settled for effect in self.effects) and not self.moments.open()

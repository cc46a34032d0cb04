"""The way backward of one run: the turn, the plan, one compensation after the other.

Rules that hold here (S26-S29): the plan is frozen in the write that turns the saga, and only when every
forward effect is settled; compensations run in the plan's order, one at a time; one that the service refuses
parks the saga and is never counted as done.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from saga.core.model import Direction, EffectStatus, ParkCause, SagaStatus
from saga.core.unwind import Finished, Plan, unwind
from saga.store.changes import SagaWrite
from saga_worker import records
from saga_worker.effects import LiveEffect, Parking
from saga_worker.forward import Driver, landed_result, typed_result

if TYPE_CHECKING:
    from saga_worker.runner import Run


def plan_of(run: Run) -> Plan:
    """The plan for what is recorded; every effect is settled.

    Raises:
        StillInDoubt: one is not.
    """
    return unwind(
        Finished(e.identity, e.position, e.status, undoable=e.step.compensation is not None)
        for e in run.effects.of(Direction.FORWARD)
    )


def turned(run: Run, plan: Plan, error: dict[str, Any]) -> SagaWrite:
    """The saga's row as it turns; without anything to undo, this is its end."""
    return SagaWrite(
        SagaStatus.RUNNING if plan.steps else SagaStatus.COMPENSATED,
        Direction.BACKWARD,
        seen=None if plan.steps else run.inbox,
        error=json.dumps(error),
        plan=json.dumps({"steps": plan.steps, "digest": plan.digest}),
    )


def link_undone(run: Driver) -> None:
    """Give each recorded compensation what it undoes: the result, and the key it was made under."""
    for effect in run.effects.of(Direction.BACKWARD):
        forward = _forward(run, effect.identity)
        effect.undoes = (landed_result(forward), forward.key)


def _forward(run: Driver, identity: str) -> LiveEffect:
    forward = run.effects.get(identity, Direction.FORWARD)
    assert forward is not None, f"{identity} is to be undone, and is not recorded"
    return forward


class Backward:
    """Works through a frozen plan."""

    def __init__(self, run: Run, steps: tuple[str, ...]) -> None:
        """The plan as it was frozen."""
        self._run = run
        self._steps = steps
        self.parking: Parking | None = None
        link_undone(run)

    def advance(self) -> list[LiveEffect]:
        """The next compensation that is to begin, if none is under way."""
        for identity in self._steps:
            effect = self._run.effects.get(identity, Direction.BACKWARD)
            if effect is None:
                return [self._new(identity)]
            if not effect.settled:
                self._run.resume(effect)
                return []
            if effect.status is not EffectStatus.SUCCEEDED:
                reason = f"undo of {identity}: {records.said(effect)}"
                self.parking = Parking(ParkCause.COMPENSATION_REFUSED, reason, {"step": identity})
                return []
        return []

    def compensated(self, seen: int) -> SagaWrite | None:
        """The saga's row at its end, once every compensation of the plan has landed."""
        undone = [self._run.effects.get(identity, Direction.BACKWARD) for identity in self._steps]
        if not all(e is not None and e.status is EffectStatus.SUCCEEDED for e in undone):
            return None
        records.check_end(self._steps, self._run.effects)
        return SagaWrite(SagaStatus.COMPENSATED, Direction.BACKWARD, seen=seen)

    def _new(self, identity: str) -> LiveEffect:
        forward = _forward(self._run, identity)
        return self._run.effects.undo(forward, typed_result(forward))

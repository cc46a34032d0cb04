"""What landed late, undone: after a saga's end is decided, and before it is told.

Rules that hold here (S16, S25): what an effect was settled as stays, because the function was told so; its late
landing is undone by the step's word (`late="compensate"`) or an operator's, else it waits for a person; until
then the saga has not ended, and its customer sees "processing". That it is undone calms the alarm about it, and no other.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from saga.core.evidence import StatedLanded
from saga.core.model import Direction, ParkCause, SagaStatus
from saga.core.promises import Kind, Late
from saga.core.verdict import contradiction
from saga.logs import log
from saga.store.changes import SagaWrite
from saga_worker import records
from saga_worker.backward import link_undone
from saga_worker.effects import LiveEffect, Parking
from saga_worker.forward import landed_result

if TYPE_CHECKING:
    from saga_worker.runner import Run


def amended(run: Run, end: SagaWrite) -> SagaWrite:
    """The saga's row when its end must wait for the undo of what landed late (S16)."""
    steps = [effect.identity for effect in run.effects.landed_late()]
    log.warning("saga_amended", saga_id=str(run.saga.id), steps=steps)
    return replace(
        end,
        status=SagaStatus.RUNNING,
        seen=None,
        amendment=json.dumps({"end": end.status, "steps": steps}),
    )  # the evidence that it follows from has set the alarm


class Amending:
    """Undoes what landed late of a saga whose end is decided; then it ends as it would have."""

    def __init__(self, run: Run, amendment: str) -> None:
        """`amendment`: as it is stored."""
        self._run = run
        self._end = SagaStatus(json.loads(amendment)["end"])
        self.parking: Parking | None = None
        link_undone(run)

    def advance(self) -> list[LiveEffect]:
        """The next undo that is to begin, if none is under way."""
        for forward in self._run.effects.landed_late():
            if not self._may_undo(forward):
                reason = (
                    f"{forward.identity} landed after it was settled as {forward.status.replace('_', ' ')}"
                )
                self.parking = Parking(ParkCause.LANDED_LATE, reason, forward.named())
                return []
            effect = self._run.effects.get(forward.identity, Direction.BACKWARD)
            if effect is None:
                return [self._run.effects.undo(forward, landed_result(forward))]
            if effect.settled:
                reason = f"undo of {forward.identity}: {records.said(effect)}"
                self.parking = Parking(ParkCause.COMPENSATION_REFUSED, reason, effect.named())
                return []
            self._run.resume(effect)
            return []
        return []

    def ended(self, seen: int) -> SagaWrite | None:
        """The saga's row at its end, once nothing that landed late stands."""
        if self._run.effects.landed_late():
            return None
        self._run.alarm = self._run.alarm or self._standing()
        return SagaWrite(self._end, self._run.direction(), seen=seen, calm=self._run.alarm is None)

    def _standing(self) -> str | None:
        """What evidence says against the other effects, which the undo of what landed late has not put right (S23, S25)."""
        for effect in (*self._run.effects.of(Direction.FORWARD), *self._run.effects.of(Direction.BACKWARD)):
            if effect.late is not None or effect.policy.kind is Kind.READS:
                continue
            by_hand = any(isinstance(seen, StatedLanded) and seen.by_hand for seen in effect.evidence)
            for seen in effect.evidence:
                said = contradiction(effect.status, seen, attempts=effect.attempt, by_hand=by_hand)
                if said is not None:
                    return f"{effect.identity}: {said}"
        return None

    def _may_undo(self, forward: LiveEffect) -> bool:
        """By the step's own word, or an operator's: `saga compensate` is a request to turn (S31)."""
        opted = forward.policy.late is Late.COMPENSATE or self._run.saga.cancel_requested
        return opted and forward.step.compensation is not None

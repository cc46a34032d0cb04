"""What turns a run that goes forward: a step's failure, a cancel, the saga's deadline; or comes too late for it.

Rules that hold here: once a run turns, nothing new starts and what is in flight is settled as not wanted (S27);
after the pivot has landed a cancel or a deadline turns nothing (S30): it is taken back as soon as it is noticed,
because until then the database refuses every intent of the way forward, and what is in flight stays wanted.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from saga.core.model import Direction, EffectStatus, EndCause, SagaStatus
from saga.logs import log
from saga.store.changes import SagaWrite, Written
from saga_worker.effects import LiveEffect

if TYPE_CHECKING:
    from saga_worker.runner import Run

BY_REQUEST = frozenset({EndCause.CANCELLED, EndCause.DEADLINE})
"""Causes that are nobody's failure."""


class Turning:
    """Whether one run turns, and why. `error`: what the saga's row will say."""

    def __init__(self, run: Run) -> None:
        """It goes forward."""
        self._run = run
        self._taken_back: asyncio.Future[Written] | None = None
        self.error: dict[str, Any] | None = None

    def __bool__(self) -> bool:
        """Whether nothing new starts any more."""
        return self.error is not None

    def turn(self, cause: EndCause, error: dict[str, Any]) -> bool:
        """From now on nothing new starts. False: it came too late, and the run goes on."""
        run = self._run
        if self or run.backward is not None or run.amending is not None:
            return True
        if cause in BY_REQUEST and self.pivot() is not None:
            self._take_back(cause)
            return False
        self.error = {"cause": cause.value, **error}
        run.nudge_all()
        run.go_on_soon()
        return True

    def at_once(self) -> bool:
        """Whether what is recorded of a saga that was just claimed turns it: a cancel, or its deadline."""
        return self.cancelled(requested=self._run.saga.cancel_requested) or self.past_deadline()

    def cancelled(self, *, requested: bool) -> bool:
        """What the database tells of a cancel (S31)."""
        return requested and self.turn(EndCause.CANCELLED, {"message": "cancel was requested"})

    def past_deadline(self) -> bool:
        """Whether the saga's deadline turns it."""
        run = self._run
        deadline = run.saga.deadline_at
        back = run.backward is not None or run.amending is not None
        if deadline is None or back or run.clocks.now() < deadline:
            return False
        return self.turn(EndCause.DEADLINE, {"message": "the saga's deadline passed"})

    def pivot(self) -> LiveEffect | None:
        """The step behind which there is no way back, once it has landed and nobody works on it."""
        run = self._run
        for effect in run.effects.of(Direction.FORWARD):
            landed = effect.policy.pivot and effect.status is EffectStatus.SUCCEEDED
            if landed and effect not in run.settlers:
                return effect
        return None

    def too_late(self, cause: str) -> SagaWrite:
        """What takes a request back that came behind the pivot (S30)."""
        log.warning("turn_came_too_late", saga_id=str(self._run.saga.id), cause=cause)
        return SagaWrite(SagaStatus.RUNNING, Direction.FORWARD, seen=None, past_pivot=True)

    async def taken_back(self) -> Written | None:
        """Wait until a request that came too late is taken back; None when there is none.

        Raises:
            DeclaredDead: the worker's row is gone.
        """
        return None if self._taken_back is None else await asyncio.shield(self._taken_back)

    def _take_back(self, cause: EndCause) -> None:
        if self._taken_back is None:
            saga = self._run.saga
            saga.deadline_at, saga.cancel_requested = None, False
            self._taken_back = self._run.write(self.too_late(cause))

    def told_back(self) -> bool:
        """The database has taken a request back; whether that was under way, and not the rest of a run that had turned."""
        under_way, self._taken_back = self._taken_back is not None, None
        return under_way

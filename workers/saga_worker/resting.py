"""Where a saga's row goes when nothing of it moves any more: asleep, parked, ended, or given back.

Rules that hold here: a saga that waits long leaves memory, unless a body of it is still running here, which
nobody else would know (S11); it parks only when everything that could be settled is; every resting place
but the turn and the release is refused by the database while the inbox moved.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from saga.core.model import ENDS, Direction, ParkCause, SagaStatus
from saga.logs import log
from saga.store.changes import SagaWrite
from saga.store.services import PREFIX
from saga_worker import backward, records
from saga_worker.amending import amended
from saga_worker.effects import LiveEffect, Parking
from saga_worker.turning import BY_REQUEST

if TYPE_CHECKING:
    from saga_worker.runner import Run


LINGER = timedelta(seconds=2)
"""A saga that waits longer than this leaves the worker's memory."""
LOOKS_AFTER = timedelta(minutes=10)
"""A saga that waits for one service is woken when that lets it in, and looks by itself after so long, up to twice that."""


def resting_place(run: Run, waits: list[datetime]) -> SagaWrite | None:
    """The saga's row at rest, or None: it goes on, or waits for a moment only."""
    if waits:
        return _asleep(run, waits) if run.worker.draining or _may_sleep(run, waits) else None
    return _parked(run) or _ended(run) or _released(run)


def _may_sleep(run: Run, waits: list[datetime]) -> bool:
    return min(waits) - run.clocks.now() > LINGER and not any(e.open for e in run.effects)


def _asleep(run: Run, waits: list[datetime]) -> SagaWrite:
    waiting = [e for e in run.effects if e.waiting_until is not None]
    services = {e.held for e in waiting}
    until, named = min(waits), [_waits_for(e) for e in waiting]
    if len(services) == 1 and waiting[0].held is not None and not run.moments.waits():
        now = run.clocks.now()
        until = until if until - now <= LINGER else now + LOOKS_AFTER * (1 + waiting[0].jitter)
        named = [PREFIX + waiting[0].held]
    if run.saga.deadline_at is not None and run.backward is None and not run.turning:
        until = min(until, run.saga.deadline_at)
    if run.moments.waits():
        named += [m.identity for m in run.moments.open()]
    return records.asleep(run.direction(), run.inbox, until, named)


def _waits_for(effect: LiveEffect) -> str:
    return effect.identity if effect.held is None else f"{effect.identity} (service {effect.held})"


def _parked(run: Run) -> SagaWrite | None:
    stuck = [e.parked for e in run.effects if e.parked is not None]
    if run.parking is None and not stuck:
        return None
    parking = run.parking or stuck[0]
    log.warning("saga_parked", saga_id=str(run.saga.id), cause=parking.cause, reason=parking.reason)
    return records.parked(parking, run.direction(), run.inbox, run.alarm)


def _ended(run: Run) -> SagaWrite | None:
    if run.amending is not None:
        return run.amending.ended(run.inbox)
    end = _end(run)
    if end is not None and end.status in ENDS and run.effects.landed_late():
        return amended(run, end)
    return end


def _end(run: Run) -> SagaWrite | None:
    if run.backward is not None:
        return run.backward.compensated(run.inbox)
    if run.turning.error is not None:
        return _turned(run, run.turning.error)
    return None if run.forward is None else run.forward.completed(run.inbox)


def _turned(run: Run, error: dict[str, Any]) -> SagaWrite:
    """Judged only now that everything in flight is settled: after its pivot a saga does not turn (S27, S30)."""
    pivot = run.turning.pivot()
    if pivot is None:
        return backward.turned(run, backward.plan_of(run), error)
    if error["cause"] in BY_REQUEST:
        return run.turning.too_late(error["cause"])
    reason = f"it failed after its pivot {pivot.identity}: {error.get('code', '')} {error.get('message', '')}"
    return records.parked(
        Parking(ParkCause.AFTER_PIVOT, reason, error), Direction.FORWARD, run.inbox, run.alarm
    )


def _released(run: Run) -> SagaWrite | None:
    return SagaWrite(SagaStatus.READY, run.direction(), seen=None) if run.worker.draining else None

"""What a run writes of itself, as values: failures, parkings, resting places; and the checks around them.

Rule: texts that come from outside are cleaned here, so that a strange message never stops a write.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from saga.core import invariants
from saga.core.invariants import EffectRecord, SagaRecord
from saga.core.model import Direction, NotExecuted, ParkCause, Refused, SagaStatus
from saga.errors import NotExecuted as NotExecutedError
from saga.errors import Refused as RefusedError
from saga.errors import StepFailed
from saga.store.changes import NotStorable, SagaWrite
from saga.store.sagas import SagaRow
from saga_worker.effects import LiveEffect, Parking
from saga_worker.flow import FellBack

TEXT_LIMIT = 4000


class CodeChanged(Exception):
    """What the function calls no longer fits what is recorded; `detail` shows both sides."""

    def __init__(self, reason: str, *, recorded: object, called: object) -> None:
        super().__init__(reason)
        self.detail = {"recorded": recorded, "called": called}


def parked(parking: Parking, direction: Direction, seen: int | None, alarm: str | None) -> SagaWrite:
    """The saga's row, parked."""
    return SagaWrite(
        SagaStatus.PARKED,
        direction,
        seen=seen,
        park_cause=parking.cause,
        park_reason=clean(parking.reason),
        park_detail=None if parking.detail is None else json.dumps(parking.detail),
        alarm=alarm,
    )


def of_error(error: BaseException) -> Parking:
    """The parking of a saga whose run has failed here, or whose values Postgres refuses."""
    cause = ParkCause.UNSTORABLE if isinstance(error, NotStorable) else ParkCause.CODE_FAILED
    detail = {"traceback": clean("".join(traceback.format_exception(error)))}
    return Parking(cause, f"{type(error).__name__}: {error}", detail)


def degraded(fell_back: dict[str, FellBack]) -> str | None:
    """Which steps fell back, why, and to a value how old, as JSON text; None for none."""
    rows = [
        {"step": step, "reason": clean(one.reason), **({} if one.age is None else {"age": one.age})}
        for step, one in fell_back.items()
    ]
    return json.dumps(rows) if rows else None


def asleep(direction: Direction, seen: int, until: datetime, waiting: Iterable[str]) -> SagaWrite:
    """The saga's row, out of memory until then."""
    return SagaWrite(
        SagaStatus.ASLEEP, direction, seen=seen, wake_at=until, waiting_for=", ".join(sorted(waiting))
    )


def failure(error: StepFailed) -> dict[str, Any]:
    """What the saga's error keeps of the failure that turned it."""
    match error:
        case RefusedError(code=code, message=message):
            return {"code": clean(code), "message": clean(message)}
        case NotExecutedError(reason=reason):
            return {"message": clean(reason)}
        case _:
            return {"message": clean(str(error))}


def said(effect: LiveEffect) -> str:
    """What a service said when it did not do as asked."""
    match effect.outcome:
        case Refused(code, message, _):
            return f"{code} {message}".strip()
        case NotExecuted(reason, _, _):
            return reason
        case _:
            return str(effect.outcome)


def clean(text: str) -> str:
    """The text as Postgres can hold it, and not longer than people read."""
    return text.replace("\x00", "").encode("utf-8", "backslashreplace").decode()[:TEXT_LIMIT]


def check_loaded(saga: SagaRow, effects: Iterable[LiveEffect], ended: Iterable[int | None]) -> None:
    """What was read must make sense before anything follows from it. ended: the completion numbers of moments."""
    plan = None if saga.plan is None else tuple(json.loads(saga.plan)["steps"])
    direction = Direction(saga.direction)
    invariants.check(
        SagaRecord(
            SagaStatus.RUNNING, direction, owned=True, plan=plan, effects=_records(effects),
            ended=tuple(number for number in ended if number is not None),
        )
    )  # fmt: skip


def check_end(plan: tuple[str, ...] | None, effects: Iterable[LiveEffect]) -> None:
    """What is about to be written as an end must be one."""
    status = SagaStatus.COMPLETED if plan is None else SagaStatus.COMPENSATED
    direction = Direction.FORWARD if plan is None else Direction.BACKWARD
    invariants.check(SagaRecord(status, direction, owned=False, plan=plan, effects=_records(effects)))


def _records(effects: Iterable[LiveEffect]) -> tuple[EffectRecord, ...]:
    """Those that have a row: one that waited for its service, and was never sent, has none."""
    return tuple(
        EffectRecord(e.identity, e.direction, e.status, e.attempt, e.completion) for e in effects if e.attempt
    )

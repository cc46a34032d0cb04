"""What is true of every saga; checked before a final write and after each read.

Rules that hold here: a check names the sentence that is broken; nothing is repaired.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from saga.core.model import SETTLED, Direction, EffectStatus, SagaStatus


class InvariantBroken(Exception):
    """The record contradicts itself: stop, and show it to a person."""


@dataclass(frozen=True, slots=True)
class EffectRecord:
    """What the invariants need of an effect."""

    step: str
    direction: Direction
    status: EffectStatus
    attempt: int
    completion: int | None


@dataclass(frozen=True, slots=True)
class SagaRecord:
    """What the invariants need of a saga. ended: the completion numbers of its moments."""

    status: SagaStatus
    direction: Direction
    owned: bool
    plan: tuple[str, ...] | None
    effects: tuple[EffectRecord, ...]
    ended: tuple[int, ...] = ()


def broken(saga: SagaRecord) -> list[str]:
    """Every invariant that the record breaks, as sentences; empty is well."""
    found = [*_of_saga(saga), *_of_effects(saga.effects), *_of_numbers(saga)]
    if saga.status in {SagaStatus.COMPLETED, SagaStatus.COMPENSATED}:
        found += [f"{saga.status}, but {e.step} ({e.direction}) is {e.status}" for e in _unsettled(saga)]
    if saga.status is SagaStatus.COMPENSATED and saga.plan is not None:
        done = {e.step for e in saga.effects if _undone(e)}
        found += [
            f"compensated, but the undo of {step} did not land" for step in saga.plan if step not in done
        ]
    return found


def check(saga: SagaRecord) -> None:
    """Raise when the record contradicts itself.

    Raises:
        InvariantBroken: with every broken sentence.
    """
    found = broken(saga)
    if found:
        raise InvariantBroken("; ".join(found))


def _of_saga(saga: SagaRecord) -> Iterable[str]:
    if saga.owned != (saga.status is SagaStatus.RUNNING):
        yield f"{saga.status} and owned={saga.owned}: only a running saga has an owner"
    if saga.direction is Direction.BACKWARD and saga.plan is None:
        yield "backward without a frozen plan (S27)"
    if saga.direction is Direction.FORWARD and saga.plan is not None:
        yield "forward with a plan of compensations (S27)"
    if saga.direction is Direction.FORWARD and saga.status is SagaStatus.COMPENSATED:
        yield "compensated without a turn"
    if saga.direction is Direction.BACKWARD and saga.status is SagaStatus.COMPLETED:
        yield "completed after it turned backward"


def _of_effects(effects: Iterable[EffectRecord]) -> Iterable[str]:
    for effect in effects:
        if effect.attempt < 1:
            yield f"{effect.step} has a row and no attempt (S5)"
        if (effect.completion is not None) != (effect.status in SETTLED):
            yield f"{effect.step} is {effect.status} with completion {effect.completion}"


def _of_numbers(saga: SagaRecord) -> Iterable[str]:
    """Replay gives back one end after the other: no two have one number."""
    forward = [
        e.completion for e in saga.effects if e.direction is Direction.FORWARD and e.completion is not None
    ]
    numbers: set[int] = set()
    for number in (*forward, *saga.ended):
        if number in numbers:
            yield f"completion {number} twice"
        numbers.add(number)


def _unsettled(saga: SagaRecord) -> Iterable[EffectRecord]:
    return (e for e in saga.effects if e.status not in SETTLED)


def _undone(effect: EffectRecord) -> bool:
    return effect.direction is Direction.BACKWARD and effect.status is EffectStatus.SUCCEEDED

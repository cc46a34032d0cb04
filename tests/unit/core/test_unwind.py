"""The plan of compensations: reverse of start, once each, and not before everything is settled."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from saga.core.model import SETTLED, EffectStatus
from saga.core.unwind import Finished, StillInDoubt, unwind

finished = some.lists(
    some.builds(
        Finished,
        step=some.uuids().map(str),
        position=some.integers(1, 10_000),
        status=some.sampled_from(sorted(SETTLED)),
        undoable=some.booleans(),
    ),
    unique_by=lambda e: e.position,
)


def done(step: str, position: int, status: EffectStatus = EffectStatus.SUCCEEDED) -> Finished:
    return Finished(step, position, status, undoable=True)


def test_s27_the_order_is_the_reverse_of_the_start() -> None:
    """Whatever the order in which they finished or are listed."""
    assert unwind([done("b", 2), done("c", 3), done("a", 1)]).steps == ("c", "b", "a")


@pytest.mark.parametrize("status", [EffectStatus.REFUSED, EffectStatus.NOT_EXECUTED])
def test_s28_what_did_not_happen_is_never_compensated(status: EffectStatus) -> None:
    """A refund of a charge that was refused would be a gift."""
    assert unwind([done("a", 1), done("b", 2, status)]).steps == ("a",)


def test_s28_an_accepted_doubt_is_not_compensated() -> None:
    """Nobody knows whether there is anything to undo; the step said `undo="nothing"`."""
    assert unwind([Finished("a", 1, EffectStatus.ACCEPTED, undoable=False)]).steps == ()


@pytest.mark.parametrize("status", sorted(set(EffectStatus) - SETTLED))
def test_s26_nothing_is_planned_while_anything_is_in_doubt(status: EffectStatus) -> None:
    """One effect that is not settled stops the whole plan, and is named."""
    with pytest.raises(StillInDoubt, match="charge#1"):
        unwind([done("reserve#1", 1), done("charge#1", 2, status)])


@given(finished)
def test_s28_every_success_that_can_be_undone_is_in_the_plan_exactly_once(effects: list[Finished]) -> None:
    """And nothing else is."""
    plan = unwind(effects).steps
    assert sorted(plan) == sorted(
        e.step for e in effects if e.undoable and e.status is EffectStatus.SUCCEEDED
    )
    positions = {e.step: e.position for e in effects}
    assert [positions[s] for s in plan] == sorted((positions[s] for s in plan), reverse=True)


def test_the_digest_changes_when_the_plan_does() -> None:
    """Order counts, and so does where one name ends."""
    plans = [
        unwind([done(s, n) for n, s in enumerate(steps)]) for steps in (["a", "b"], ["b", "a"], ["ab"], [])
    ]
    assert len({plan.digest for plan in plans}) == 4
    assert unwind([done("a", 0), done("b", 1)]).digest == plans[0].digest

"""What is true of every saga: each sentence is broken once, and nothing else is said."""

from dataclasses import replace

import pytest

from saga.core.invariants import EffectRecord, InvariantBroken, SagaRecord, broken, check
from saga.core.model import SETTLED, Direction, EffectStatus, SagaStatus

CHARGED = EffectRecord("charge#1", Direction.FORWARD, EffectStatus.SUCCEEDED, 1, 1)
REFUNDED = EffectRecord("charge#1", Direction.BACKWARD, EffectStatus.SUCCEEDED, 1, 2)
FORWARD = SagaRecord(SagaStatus.RUNNING, Direction.FORWARD, owned=True, plan=None, effects=(CHARGED,))
BACKWARD = replace(FORWARD, direction=Direction.BACKWARD, plan=("charge#1",))
COMPLETED = replace(FORWARD, status=SagaStatus.COMPLETED, owned=False)
COMPENSATED = replace(BACKWARD, status=SagaStatus.COMPENSATED, owned=False, effects=(CHARGED, REFUNDED))


@pytest.mark.parametrize("saga", [FORWARD, BACKWARD, COMPLETED, COMPENSATED])
def test_a_sound_saga_breaks_nothing(saga: SagaRecord) -> None:
    """And `check` is silent."""
    assert broken(saga) == []
    check(saga)


@pytest.mark.parametrize(
    ("saga", "sentence"),
    [
        (replace(FORWARD, owned=False), "only a running saga has an owner"),
        (replace(COMPLETED, owned=True), "only a running saga has an owner"),
        (replace(FORWARD, plan=("charge#1",)), "forward with a plan"),
        (replace(BACKWARD, plan=None), "without a frozen plan"),
        (replace(COMPLETED, direction=Direction.BACKWARD, plan=()), "completed after it turned"),
        (replace(COMPENSATED, direction=Direction.FORWARD, plan=None), "compensated without a turn"),
        (replace(FORWARD, effects=(replace(CHARGED, attempt=0),)), "no attempt"),
        (replace(FORWARD, effects=(replace(CHARGED, completion=None),)), "completion None"),
        (replace(FORWARD, effects=(replace(CHARGED, status=EffectStatus.DOUBT),)), "completion 1"),
        (replace(FORWARD, effects=(CHARGED, replace(CHARGED, step="ship#1"))), "completion 1 twice"),
        (replace(FORWARD, ended=(2, 1)), "completion 1 twice"),
        (replace(COMPENSATED, effects=(CHARGED,)), "the undo of charge#1 did not land"),
        (
            replace(COMPENSATED, effects=(CHARGED, replace(REFUNDED, status=EffectStatus.REFUSED))),
            "did not land",
        ),
    ],
)
def test_each_contradiction_is_named(saga: SagaRecord, sentence: str) -> None:
    """One sentence, which says what is wrong; `check` raises with it."""
    (found,) = broken(saga)
    assert sentence in found
    with pytest.raises(InvariantBroken, match=sentence):
        check(saga)


@pytest.mark.parametrize("status", sorted(set(EffectStatus) - SETTLED))
@pytest.mark.parametrize("end", [COMPLETED, COMPENSATED], ids=["completed", "compensated"])
def test_s26_no_end_while_an_effect_is_not_settled(end: SagaRecord, status: EffectStatus) -> None:
    """Neither end may be claimed over an open effect."""
    open_one = EffectRecord("ship#1", Direction.FORWARD, status, 1, None)
    assert any("ship#1" in s for s in broken(replace(end, effects=(*end.effects, open_one))))

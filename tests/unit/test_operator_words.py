"""What an operator reads: each sentence says what is recorded, and names a command that helps."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from saga.cli.settling import said_of
from saga.cli.timeline import timeline
from saga.core.model import Direction, EffectStatus, MomentKind, ParkCause, SagaStatus
from saga.operator import ProbeAnswer, why
from saga.store.moments import MomentRow
from saga.store.queries import EvidenceLine, SagaLine, Story
from saga.store.sagas import EffectRow

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
THEN = NOON - timedelta(seconds=9)
ID = UUID(int=7)
SAGA = SagaLine(
    ID, "checkout", 1, "k", SagaStatus.PARKED, Direction.FORWARD, 3, THEN, None, None,
    cancel_requested=False, park_cause=None, park_reason=None, park_detail={}, alarm=None, error=None, degraded=(),
    deadline_at=None, created_at=THEN, updated_at=THEN, finished_at=None, purged_at=None, tags={}, now=NOON,
)  # fmt: skip
CHARGE = EffectRow(
    ID, "charge#1", Direction.FORWARD, 1, "charge", "psp", "sk1_key", "hash", "[]", EffectStatus.DOUBT, 1, THEN, THEN,
    THEN, None, THEN, None, None, None, by_statement=False, completion=None, doubt_since=THEN, probes=0,
)  # fmt: skip


def story(*effects: EffectRow, evidence: tuple[EvidenceLine, ...] = (), **saga: Any) -> Story:
    return Story(replace(SAGA, **saga), json.dumps("in"), None, None, effects, evidence, ())


def seen(kind: str, **body: Any) -> EvidenceLine:
    return EvidenceLine("charge#1", Direction.FORWARD, 1, kind, NOON, None, body)


def why_parked(cause: ParkCause, reason: str, *effects: EffectRow, **saga: Any) -> str:
    return why.sentence(story(*effects, park_cause=cause, park_reason=reason, **saga), ())


def test_a_mismatch_is_not_a_lost_answer() -> None:
    """S19: the service did answer: it knows the key with another request."""
    said = why_parked(
        ParkCause.MISMATCH, "charge#1: the service knows the key with another request (x)", CHARGE
    )
    assert "charge#1 was sent 9s ago; the service knows the key with another request" in said
    assert "lost" not in said


def test_a_surplus_names_the_act_that_goes_on() -> None:
    """S23: look at the provider, then retry; the reason is said once."""
    reason = 'charge#1: 1 more under its key: "b"'
    said = why_parked(ParkCause.SURPLUS, reason, alarm=reason, park_detail={"service": "psp"})
    assert "look at psp" in said
    assert "`saga retry k --because" in said
    assert said.count("1 more") == 1


def test_what_landed_late_names_the_act_that_undoes_it() -> None:
    """S16: compensate undoes that effect and nothing else."""
    alarm = "charge#1: it landed late, after it was settled as not executed"
    said = why_parked(
        ParkCause.LANDED_LATE, "charge#1 landed after it was settled as not executed", alarm=alarm
    )
    assert "`saga compensate k --because" in said


def test_an_alarm_besides_another_cause_is_told() -> None:
    """A parked saga says why it is parked, and what else is wrong."""
    said = why_parked(ParkCause.CODE_FAILED, "KeyError: 'x'", alarm="charge#1: it landed late")
    assert "KeyError: 'x'; besides, charge#1: it landed late" in said


@pytest.mark.parametrize(
    ("detail", "command"),
    [({"step": "charge#1"}, "`saga resolve k charge#1 --landed --result"), ({}, "`saga retry k")],
)
def test_an_unstorable_result_names_its_step(detail: dict[str, str], command: str) -> None:
    """Where no step is at fault, the code is."""
    said = why_parked(ParkCause.UNSTORABLE, "it cannot be stored", park_detail=detail)
    assert command in said
    assert "STEP" not in said


def test_an_alarm_after_the_end_names_the_act_that_ends_it() -> None:
    """The customer's word comes back with it."""
    error = {"cause": "not_executed"}
    said = why.sentence(story(status=SagaStatus.COMPENSATED, alarm="charge#1: odd", error=error), ())
    assert "`saga retry k --because" in said
    assert "the customer sees try again" in said


def test_the_timeline_numbers_the_probes_of_each_effect() -> None:
    """A probe's number is its own, and no attempt's."""
    asked = (seen("probe", answer="no_answer"), seen("probe", answer="not_found", phase="quiet"))
    text = timeline(story(CHARGE, evidence=asked), "why", attempts=True, with_input=False)
    assert "charge#1 probe 1" in text
    assert "charge#1 probe 2" in text
    assert "charge#1 probe 1" not in text.split("charge#1 probe 2", 1)[1]


def test_what_has_ended_is_told_in_words() -> None:
    """No stored word is shown as it is stored."""
    error = {"cause": "not_executed", "message": "it was down"}
    ended = story(status=SagaStatus.COMPENSATED, error=error, finished_at=NOON)
    text = timeline(ended, why.sentence(ended, ()), attempts=False, with_input=False)
    assert "not executed  it was down" in text
    assert "the customer sees try again" in text
    assert "_" not in text


def test_a_probe_says_its_answer_once() -> None:
    """`saga probe`: one sentence."""
    assert said_of(ProbeAnswer("charge#1", Direction.FORWARD, "landed", "quiet", 1, None)) == (
        "charge#1: it landed"
    )


SLEPT = MomentRow(ID, "sleep#1", MomentKind.SLEEP, 2, THEN, NOON + timedelta(days=3), None, None, None, None)


def test_a_sleep_is_shown_with_its_end() -> None:
    """In the timeline as what was begun, and why the saga does not move."""
    told = replace(
        story(status=SagaStatus.ASLEEP, waiting_for="sleep#1", wake_at=NOON + timedelta(days=3)),
        moments=(SLEPT,),
    )
    assert "k waits for sleep#1; no worker serves checkout v1" in why.sentence(told, ())
    assert "looks again in 3d" in why.sentence(told, ())
    text = timeline(told, "", attempts=False, with_input=False)
    assert "> sleep#1  until 2026-01-04 12:00:00" in text
    over = replace(told, moments=(replace(SLEPT, ended_at=NOON, completion=1),))
    assert "v sleep#1  over" in timeline(over, "", attempts=False, with_input=False)

"""Budgets while a service is open, and behind its closing: none is eaten in silence, and none lasts for ever."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from saga.core.decide import Park, Probe, Send, Settle
from saga.core.evidence import NoAnswer, Replied, decode, encode
from saga.core.facts import Budget, Want, facts_of
from saga.core.model import Hint, NotExecuted, Unknown
from tests.support.observed import (
    FORGETFUL,
    LUCKY,
    UNHEARD,
    asked,
    at,
    at_once,
    effect,
    intended,
    policy,
    replied,
)

AWAY = NotExecuted("away", rule="connect")
SHORT = policy(can_probe=True, settle_within=timedelta(seconds=60), probes=3)
DOUBT = (intended(), replied(UNHEARD))
NOBODY = NoAnswer("down")


def excused(attempt: int) -> Replied:
    return replace(replied(AWAY, attempt), excused=True)


@pytest.mark.parametrize(("free", "then"), [(1, Send), (0, Settle)])
def test_an_excused_failure_counts_against_no_budget_of_attempts(free: int, then: type) -> None:
    """Three attempts are allowed, and of the three that were made one came back while its service was open; or none."""
    last = excused(3) if free else replied(AWAY, 3)
    made = (intended(1), replied(AWAY, 1), intended(2), replied(AWAY, 2), intended(3), last)
    assert isinstance(at_once(effect(LUCKY, policy(attempts=3), *made), 5000), then)


@pytest.mark.parametrize("outcome", [AWAY, UNHEARD, Unknown("500", hint=Hint.SERVER_ERROR)])
def test_an_excuse_is_kept_with_the_reply(outcome: NotExecuted | Unknown) -> None:
    """What is read is what was written; a reply without one is stored as it always was."""
    for reply in (Replied(2, outcome, excused=True), Replied(2, outcome)):
        kind, attempt, body = encode(reply)
        assert decode(kind, attempt, body) == reply
        assert ("excused" in body) is reply.excused


def test_no_budget_of_time_runs_while_the_service_is_open() -> None:
    """A doubt is not given up, and a compensation neither, however long it lasts; without the breaker both are."""
    doubt = effect(FORGETFUL, SHORT, *DOUBT, asked(12, NOBODY), doubt=10)
    assert isinstance(at_once(doubt, 90_000), Park)
    assert isinstance(at_once(replace(doubt, let_alone=True), 90_000), Probe)
    undo = effect(LUCKY, SHORT, intended(), replied(AWAY), backward=True)
    assert isinstance(at_once(undo, 3600), Park)
    assert at_once(replace(undo, let_alone=True), 3600) == Send(2)


def test_a_budget_begins_anew_with_what_is_done_after_the_closing() -> None:
    """Before that nothing is counted, so that whoever is let in last is not given up unasked; from then on all is."""
    before = [asked(12 + n, NOBODY) for n in range(3)]
    facts = effect(FORGETFUL, SHORT, *DOUBT, *before, doubt=10, let_in_since=at(1000))
    assert facts.budget_from is None
    assert facts.probes == 0
    assert isinstance(at_once(facts, 2000), Probe)
    asked_again = effect(
        FORGETFUL, SHORT, *DOUBT, *before, asked(2000, NOBODY), doubt=10, let_in_since=at(1000)
    )
    assert asked_again.budget_from == at(2000)
    assert facts_of(asked_again, Want.WANTED, at(2059)).budget is Budget.LEFT
    assert facts_of(asked_again, Want.WANTED, at(2061)).budget is Budget.SPENT


def test_a_doubt_that_began_after_the_closing_has_its_own_budget() -> None:
    """A service that was open yesterday gives nobody more time today."""
    facts = effect(FORGETFUL, SHORT, *DOUBT, asked(12, NOBODY), doubt=10, let_in_since=at(5))
    assert facts.budget_from == at(10)
    assert isinstance(at_once(facts, 90_000), Park)


def test_a_promise_about_time_holds_while_the_service_is_open() -> None:
    """`give_up` is such a promise: past it the step is not executed, and the saga is told."""
    facts = effect(LUCKY, policy(give_up=timedelta(hours=1)), intended(), excused(1), let_alone=True)
    assert isinstance(at_once(facts, 4000), Settle)

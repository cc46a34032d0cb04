"""What a person's word is worth, and what contradicts an effect that is settled (S25, S29, S37)."""

import pytest

from saga.core.evidence import Evidence, Fenced, Landed, Lost, StatedLanded, StatedNever
from saga.core.model import EffectStatus, NotExecuted, Outcome, Refused, Succeeded, Unknown
from saga.core.promises import Promises
from saga.core.verdict import Basis, Verdict, contradiction, left_behind, verdict
from tests.support.observed import (
    BUSY,
    DONE,
    FORGETFUL,
    LUCKY,
    NO,
    asked,
    at,
    intended,
    late,
    policy,
    quiet,
    replied,
)


def found(*evidence: Evidence) -> Verdict:
    return verdict(evidence, FORGETFUL, policy(can_probe=True))


def proves(*evidence: Evidence) -> Outcome:
    return found(*evidence).outcome


def test_s37_a_statement_settles_a_doubt_and_stays_flagged() -> None:
    """The operator's word is evidence, and the verdict says that it rests on it."""
    landed = found(intended(), Lost(1), StatedLanded(1, "ada", "saw it", '"x"'))
    never = found(intended(), Lost(1), StatedNever(1, "ada", "asked them"))
    assert (landed.outcome, landed.basis) == (Succeeded('"x"', rule="statement"), Basis.STATEMENT)
    assert (never.outcome, never.basis) == (NotExecuted("asked them", rule="statement"), Basis.STATEMENT)


@pytest.mark.parametrize(("seconds", "believed"), [(0, False), (69, False), (70, True), (None, True)])
def test_s37_never_counts_from_when_nothing_can_land_any_more(seconds: int | None, believed: bool) -> None:
    """S16: before that nobody can know; `None` is the word of somebody who answers for what is on its way."""
    said = StatedNever(1, "ada", "they have nothing", None if seconds is None else at(seconds))
    outcome = proves(intended(), Lost(1), said)
    assert isinstance(outcome, NotExecuted if believed else Unknown)


def test_s37_never_does_not_speak_of_attempts_after_it() -> None:
    """What was sent since is in doubt again."""
    seen = (intended(1), Lost(1), StatedNever(1, "ada", "asked them"), intended(2, 60))
    assert isinstance(proves(*seen, Lost(2)), Unknown)


def test_s37_the_last_statement_counts() -> None:
    """An operator may correct another."""
    seen = (intended(), Lost(1), StatedNever(1, "ada", "a guess"))
    assert isinstance(proves(*seen, StatedLanded(1, "bob", "saw it", "1")), Succeeded)


@pytest.mark.parametrize(
    ("evidence", "outcome"),
    [
        ([replied(DONE), StatedNever(1, "ada", "sure")], Succeeded),
        ([StatedNever(1, "ada", "sure"), late(DONE)], Succeeded),
        ([replied(NO), StatedLanded(1, "ada", "sure", "1")], Refused),
        ([StatedLanded(1, "ada", "sure", "1"), asked(20, Fenced())], NotExecuted),
    ],
)
def test_s37_proof_outranks_a_statement_and_the_contradiction_is_flagged(
    evidence: list[Evidence], outcome: type[Outcome]
) -> None:
    """Whichever came first, the proof decides, and a person hears of it."""
    result = found(intended(), *evidence)
    assert isinstance(result.outcome, outcome)
    assert result.contradiction is not None
    assert "ada" in result.contradiction


@pytest.mark.parametrize("said", [[replied(NO)], [replied(BUSY)]])
def test_s29_what_a_person_did_by_hand_does_not_contradict_that_the_service_did_not(
    said: list[Evidence],
) -> None:
    """Only that statement outranks a proof, whichever came first; without the flag the proof decides."""
    done = StatedLanded(1, "ada", "at the counter", "null", by_hand=True)
    for evidence in ([*said, done], [done, *said]):
        result = found(intended(), *evidence)
        assert result == Verdict(Succeeded("null", rule="statement"), Basis.STATEMENT)
    plain = found(intended(), *said, StatedLanded(1, "ada", "at the counter", "null"))
    assert not isinstance(plain.outcome, Succeeded)


def test_s29_what_lands_besides_what_was_done_by_hand_is_told() -> None:
    """Undone twice is one too many: in the verdict, and of an effect that is settled."""
    done = StatedLanded(1, "ada", "at the counter", "null", by_hand=True)
    both = found(intended(), replied(NO), done, late(DONE))
    assert isinstance(both.outcome, Succeeded)
    assert both.contradiction is not None
    assert contradiction(EffectStatus.SUCCEEDED, late(DONE), by_hand=True) is not None
    assert contradiction(EffectStatus.SUCCEEDED, late(NO), by_hand=True) is None
    assert contradiction(EffectStatus.SUCCEEDED, late(DONE)) is None


@pytest.mark.parametrize(
    ("promises", "evidence", "left"),
    [
        (FORGETFUL, [intended(1), Lost(1), intended(2, 90), replied(DONE, 2)], True),
        (FORGETFUL, [intended(1), replied(BUSY, 1), intended(2, 90), replied(DONE, 2)], False),
        (FORGETFUL, [intended(1), Lost(1), replied(DONE, 1)], False),
        (LUCKY, [intended(1), Lost(1), intended(2, 90), replied(DONE, 2)], False),
    ],
)
def test_s16_what_was_passed_over_in_silence_may_still_make_a_second_effect(
    promises: Promises, evidence: list[Evidence], left: bool
) -> None:
    """Only where nothing dedups, and only an attempt of which nobody knows the end."""
    assert left_behind(evidence, promises, policy(can_probe=True)) is left


def test_s23_more_than_one_under_a_key_contradicts_a_success() -> None:
    """One landing is what was settled; a second one is nobody's wish, whoever finds it."""
    one, two = quiet(90, Landed('"a"')), quiet(90, Landed('"a"', also=('"b"',)))
    assert contradiction(EffectStatus.SUCCEEDED, one, attempts=2) is None
    assert contradiction(EffectStatus.SUCCEEDED, two, attempts=2) == "1 more landed under its key"

"""What the evidence proves: each rule of settling.md that `verdict` implements, with its number."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as some

from saga.core.evidence import (
    Evidence,
    Fenced,
    Landed,
    Lost,
    NoAnswer,
    SaidRefused,
    StatedLanded,
    StatedNever,
)
from saga.core.model import Kept, NotExecuted, Outcome, Refused, Succeeded, Unknown
from saga.core.promises import Kind, Promises
from saga.core.verdict import Basis, Verdict, outcomes, verdict
from tests.support.observed import (
    BUSY,
    DONE,
    FAITHFUL,
    FORGETFUL,
    LUCKY,
    NO,
    UNHEARD,
    asked,
    intended,
    late,
    pending,
    policy,
    quiet,
    replied,
)

ALL_PROMISES = [FORGETFUL, LUCKY, FAITHFUL]
HOW = policy(can_probe=True)


def found(*evidence: Evidence, promises: Promises = FORGETFUL, kind: Kind = Kind.EFFECT) -> Verdict:
    return verdict(evidence, promises, policy(can_probe=True, kind=kind))


def proves(*evidence: Evidence, promises: Promises = FORGETFUL, kind: Kind = Kind.EFFECT) -> Outcome:
    return found(*evidence, promises=promises, kind=kind).outcome


@pytest.mark.parametrize("promises", ALL_PROMISES)
@pytest.mark.parametrize("outcome", [DONE, NO, BUSY, UNHEARD])
def test_s1_a_single_attempt_is_what_its_reply_was(outcome: Outcome, promises: Promises) -> None:
    """One attempt and its reply: exactly that one of four outcomes."""
    assert isinstance(proves(intended(), replied(outcome), promises=promises), type(outcome))


@pytest.mark.parametrize("promises", ALL_PROMISES)
def test_s2_what_is_not_proven_is_unknown(promises: Promises) -> None:
    """An intent alone, a lost worker, a probe that failed, a probe that is pending: nothing follows."""
    for rest in (
        [],
        [Lost(1)],
        [replied(UNHEARD), asked(20, NoAnswer("down"))],
        [Lost(1), asked(20, pending())],
    ):
        assert isinstance(proves(intended(), *rest, promises=promises), Unknown)


def test_nothing_was_sent_without_an_intent() -> None:
    """S5: before the intent is durable no byte leaves, so no intent is proof that nothing happened."""
    assert proves() == NotExecuted("never sent", rule="no intent")


evidences = some.lists(
    some.sampled_from(
        [
            *(intended(n, 20 * n) for n in (1, 2, 3)),
            *(replied(o, n) for o in (DONE, NO, BUSY, UNHEARD) for n in (1, 2, 3)),
            *(late(o, n) for o in (DONE, NO) for n in (1, 2)),
            *(Lost(n) for n in (1, 2)),
            *(make(t, answer, n) for make in (asked, quiet) for t, n in ((100, 1), (200, 2), (300, 2))
              for answer in (None, pending(), Landed("1"), SaidRefused("no", ""), Fenced(), NoAnswer(""))),
            StatedLanded(2, "ada", "saw it", "1"),
            StatedLanded(2, "ada", "did it", "null", by_hand=True),
            StatedNever(2, "ada", "asked them"),
        ]
    ),
    max_size=8,
)  # fmt: skip


@given(evidences, some.sampled_from(ALL_PROMISES), some.sampled_from(Kind))
def test_s3_the_verdict_is_a_pure_function_of_the_evidence(
    evidence: list[Evidence], promises: Promises, kind: Kind
) -> None:
    """The same evidence gives the same verdict, whatever it is, and never an error."""
    how = policy(kind=kind)
    assert verdict(evidence, promises, how) == verdict(tuple(evidence), promises, how)


@given(evidences, some.sampled_from(ALL_PROMISES))
def test_s4_a_landing_is_never_forgotten(evidence: list[Evidence], promises: Promises) -> None:
    """Whatever else was seen: one observation of the effect is proof that it landed."""
    for landing in (late(DONE, 1), asked(400, Landed("1"), 2)):
        assert isinstance(proves(*evidence, landing, promises=promises), Succeeded)


@pytest.mark.parametrize("promises", [FORGETFUL, LUCKY])
@pytest.mark.parametrize("last", [NO, BUSY])
def test_s4_s17_a_later_attempt_does_not_settle_an_earlier_one(promises: Promises, last: Outcome) -> None:
    """A refusal or a "not executed" of attempt 2 says nothing about attempt 1, unless the service stores it."""
    assert isinstance(
        proves(intended(1), replied(UNHEARD, 1), intended(2, 20), replied(last, 2), promises=promises),
        Unknown,
    )


def test_s17_a_refusal_that_is_stored_under_the_key_speaks_for_all() -> None:
    """A service that remembers everything would answer a late attempt 1 with the stored refusal."""
    seen = (intended(1), replied(UNHEARD, 1), intended(2, 20))
    assert proves(*seen, replied(NO, 2), promises=FAITHFUL) == NO
    assert isinstance(proves(*seen, replied(BUSY, 2), promises=FAITHFUL), Unknown)


def test_s17_what_that_very_reply_says_of_its_keeping_counts() -> None:
    """A profile may say of one status that it is stored, or that it is not, whatever the service does in general."""
    seen = (intended(1), replied(UNHEARD, 1), intended(2, 20))
    kept, not_kept = (Refused("no", "", "400", kept) for kept in (Kept.YES, Kept.NO))
    assert proves(*seen, replied(kept, 2), promises=LUCKY) == kept
    assert isinstance(proves(*seen, replied(not_kept, 2), promises=FAITHFUL), Unknown)
    assert isinstance(proves(*seen, replied(kept, 2), promises=FORGETFUL), Unknown)


@pytest.mark.parametrize("promises", ALL_PROMISES)
def test_s13_not_found_alone_never_proves_anything(promises: Promises) -> None:
    """However often it is asked early: the original may still be on its way."""
    assert isinstance(
        proves(intended(), replied(UNHEARD), *(asked(n) for n in range(20, 60)), promises=promises), Unknown
    )


def test_s13_a_probed_refusal_counts_as_not_found_where_none_is_stored() -> None:
    """Only a service that stores refusals under the key can say "refused" about a request that may still come."""
    seen = (intended(), replied(UNHEARD), asked(20, SaidRefused("no", "")))
    assert isinstance(proves(*seen, promises=FORGETFUL), Unknown)
    assert isinstance(proves(*seen, promises=LUCKY), Unknown)
    assert isinstance(proves(*seen, promises=FAITHFUL), Refused)


def test_s16_two_quiet_reads_spaced_by_the_staleness_prove_that_nothing_happened() -> None:
    """The proof is silence, and says so, because a late watch follows."""
    result = found(intended(), replied(UNHEARD), quiet(70), quiet(75))
    assert result.outcome == NotExecuted("never landed", rule="quiescence")
    assert result.basis is Basis.SILENCE


@pytest.mark.parametrize(
    "reads",
    [
        pytest.param([quiet(70)], id="one read"),
        pytest.param([quiet(70), quiet(74)], id="too close"),
        pytest.param([asked(70), quiet(80)], id="one of them early"),
        pytest.param([quiet(70), quiet(80, NoAnswer("down"))], id="one without an answer"),
        pytest.param([quiet(70), quiet(80, attempt=2)], id="about different attempts"),
        pytest.param([quiet(70), quiet(75, pending()), quiet(80)], id="pending in between"),
        pytest.param([quiet(70), quiet(80), quiet(85, pending())], id="pending afterwards"),
    ],
)
def test_s16_anything_less_is_no_proof(reads: list[Evidence]) -> None:
    """Each part of the rule is needed; a service that is still at it takes back what was read before."""
    assert isinstance(proves(intended(), replied(UNHEARD), *reads), Unknown)


def test_s16_a_new_attempt_begins_a_new_quiet() -> None:
    """Reads about attempt 1 say nothing once attempt 2 was sent."""
    seen = (intended(1), replied(UNHEARD, 1), quiet(70), quiet(80), intended(2, 90))
    assert isinstance(proves(*seen), Unknown)
    assert isinstance(proves(*seen, replied(UNHEARD, 2)), Unknown)


def test_s17_a_refusal_stands_when_quiet_has_settled_the_attempts_before_it() -> None:
    """Attempt 1 never landed, attempt 2 was refused: the effect is refused."""
    seen = (intended(1), replied(UNHEARD, 1), intended(2, 20), replied(NO, 2), quiet(100, attempt=2))
    assert proves(*seen, quiet(110, attempt=2)) == NO


def test_s9_a_reply_that_is_there_beats_a_worker_that_went_away() -> None:
    """Lost says only that nobody told; it never takes back an outcome."""
    assert proves(intended(), replied(NO), Lost(1)) == NO
    assert isinstance(proves(intended(), Lost(1)), Unknown)


def test_s25_a_late_reply_beats_the_doubt_and_no_proof() -> None:
    """What came late settles an unknown; between two proofs about one attempt the first stands, unless it landed."""
    assert proves(intended(), replied(UNHEARD), late(NO)) == NO
    assert proves(intended(), replied(BUSY), late(NO)) == BUSY
    assert outcomes([intended(), Lost(1), late(NO)]) == {1: NO}


@pytest.mark.parametrize(
    ("evidence", "promises"),
    [
        pytest.param([intended(), replied(NO), late(DONE)], FORGETFUL, id="refused, then landed"),
        pytest.param(
            [intended(), Lost(1), asked(20, Fenced()), late(DONE)], FORGETFUL, id="fenced, then landed"
        ),
        pytest.param(
            [intended(), Lost(1), quiet(70), quiet(80), late(DONE)], FORGETFUL, id="silent, then landed"
        ),
        pytest.param(
            [intended(), asked(20, SaidRefused("no", "")), late(DONE)], FAITHFUL, id="stored refusal"
        ),
        pytest.param(
            [intended(1), late(DONE, 1), intended(2), replied(DONE, 2)], FORGETFUL, id="landed twice"
        ),
    ],
)
def test_s25_a_contradiction_is_flagged(evidence: list[Evidence], promises: Promises) -> None:
    """It landed against what the rest proves: succeeded, and never silently so."""
    result = found(*evidence, promises=promises)
    assert isinstance(result.outcome, Succeeded)
    assert result.contradiction is not None


@pytest.mark.parametrize("promises", ALL_PROMISES)
def test_s25_what_agrees_is_no_contradiction(promises: Promises) -> None:
    """An attempt that was not executed before one that landed, a doubt that turned out well: nothing to flag."""
    for seen in (
        (intended(1), replied(BUSY, 1), intended(2, 20), replied(DONE, 2)),
        (intended(1), replied(UNHEARD, 1), asked(20), late(DONE, 1)),
        (intended(1), replied(UNHEARD, 1), asked(20, Landed("1"))),
        (intended(1), Lost(1), quiet(70), quiet(80), intended(2, 90), replied(DONE, 2)),
    ):
        assert found(*seen, promises=promises).contradiction is None
    again = found(intended(1), replied(DONE, 1), intended(2), replied(DONE, 2), promises=FAITHFUL)
    assert again.contradiction is None, "the same reply again, from a service that dedups"


def test_s15_a_fence_settles() -> None:
    """A key that the service guarantees never to land is not executed, whatever is still on its way."""
    assert proves(intended(), replied(UNHEARD), asked(20, Fenced())) == NotExecuted(
        "the service fenced the key", rule="fenced"
    )


def test_what_only_reads_has_nothing_to_doubt() -> None:
    """S24: a step that changes nothing is not executed when its reply is lost."""
    assert isinstance(proves(intended(), replied(UNHEARD), kind=Kind.READS), NotExecuted)
    assert found(intended(), replied(BUSY), late(DONE), kind=Kind.READS).contradiction is None


def test_the_order_of_the_attempts_does_not_matter_where_all_are_settled() -> None:
    """Evidence of several workers may come in any order: the verdict is about what is in it."""
    pieces: list[Evidence] = [intended(1), replied(BUSY, 1), intended(2, 20), replied(NO, 2)]
    verdicts = {str(proves(*order)) for order in itertools.permutations(pieces)}
    assert verdicts == {str(NO)}


def test_s23_an_attempt_that_lands_behind_a_later_one_in_doubt_is_no_quiet_success() -> None:
    """S23, S25: the later one was sent because the first was proven silent; where nothing dedups, both may stand."""
    both = (*intended_and_lost(), late(DONE, 1))
    said = found(*both).contradiction
    assert said is not None
    assert "attempt 2 may have landed, too" in said
    assert found(*both, promises=FAITHFUL).contradiction is None
    assert found(*both, kind=Kind.REPEATABLE).contradiction is None


def intended_and_lost() -> tuple[Evidence, ...]:
    """Attempt 1 was passed over in silence; of attempt 2 nobody has heard."""
    return (intended(1), replied(UNHEARD, 1), quiet(20), quiet(40), intended(2, 100), Lost(2))

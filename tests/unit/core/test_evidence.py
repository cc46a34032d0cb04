"""What is stored of an observation is the whole of it: encoded and decoded it is equal."""

import json
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as some

from saga.core.evidence import (
    Evidence,
    EvidenceKind,
    Fenced,
    Intended,
    Landed,
    Lost,
    NoAnswer,
    NotFound,
    Pending,
    Phase,
    ProbeAnswer,
    Probed,
    Replied,
    RetryAsked,
    SaidRefused,
    StatedLanded,
    StatedNever,
    decode,
    encode,
)
from saga.core.model import Hint, Kept, NotExecuted, Outcome, Refused, Succeeded, Unknown

texts = some.text(alphabet=some.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
attempts = some.integers(1, 2**31 - 1)
seconds = some.none() | some.floats(0, 1e6)
times = some.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1)).map(lambda t: t.replace(tzinfo=UTC))  # noqa: DTZ001 - hypothesis wants bounds without a zone
outcomes = some.one_of(
    some.builds(Succeeded, texts, texts),
    some.builds(Refused, texts, texts, texts, some.sampled_from(Kept)),
    some.builds(NotExecuted, texts, texts, seconds),
    some.builds(Unknown, texts, some.sampled_from(Hint), seconds),
)
answers = some.one_of(
    some.builds(Landed, texts, some.lists(texts, max_size=3).map(tuple)),
    some.builds(SaidRefused, texts, texts),
    some.builds(NotFound),
    some.builds(Pending, seconds),
    some.builds(Fenced),
    some.builds(NoAnswer, texts),
)
replies = some.sampled_from([EvidenceKind.REPLY, EvidenceKind.LATE_REPLY, EvidenceKind.WEBHOOK])
observations = some.one_of(
    some.builds(Intended, attempts, times, times),
    some.builds(Replied, attempts, outcomes, replies),
    some.builds(Lost, attempts),
    some.builds(Probed, attempts, answers, some.sampled_from(Phase), times),
    some.builds(StatedLanded, attempts, texts, texts, texts, some.booleans()),
    some.builds(StatedNever, attempts, texts, texts),
    some.builds(RetryAsked, texts, texts, times),
)


@given(observations)
def test_what_was_observed_comes_back_equal(seen: Evidence) -> None:
    """Through JSON text, as Postgres keeps it."""
    kind, attempt, body = encode(seen)
    assert decode(kind.value, attempt, json.loads(json.dumps(body))) == seen


@given(observations)
def test_the_attempt_that_it_speaks_of_is_stored_beside_it(seen: Evidence) -> None:
    """A statement, too, speaks of the attempts up to one: "never" must not settle a later send (S37)."""
    _, attempt, _ = encode(seen)
    assert attempt == getattr(seen, "attempt", 0)


def test_every_kind_is_tried_above() -> None:
    """A new kind of observation, outcome or answer must join the round trip."""
    assert set(get_args(Evidence)) == {Intended, Replied, Lost, Probed, StatedLanded, StatedNever, RetryAsked}
    assert set(get_args(Outcome)) == {Succeeded, Refused, NotExecuted, Unknown}
    assert set(get_args(ProbeAnswer)) == {Landed, SaidRefused, NotFound, Pending, Fenced, NoAnswer}


def test_every_stored_word_is_written_by_something() -> None:
    """Each member of EvidenceKind comes out of `encode`."""
    noon = datetime(2026, 1, 1, tzinfo=UTC)
    every: list[Evidence] = [
        Intended(1, noon, noon + timedelta(seconds=1)),
        *(
            Replied(1, Unknown(""), kind)
            for kind in (EvidenceKind.REPLY, EvidenceKind.LATE_REPLY, EvidenceKind.WEBHOOK)
        ),
        Lost(1),
        Probed(1, NotFound(), Phase.EARLY, noon),
        StatedNever(1, "", ""),
        RetryAsked("", "", noon),
    ]
    assert {encode(seen)[0] for seen in every} == set(EvidenceKind)


def test_a_kind_of_a_later_version_is_an_error_and_not_a_guess() -> None:
    """Evidence that is not understood stops the saga instead of being left out."""
    with pytest.raises(ValueError, match="oracle"):
        decode("oracle", 1, {})

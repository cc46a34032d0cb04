"""What is settled by silence is watched, whoever saw the end of its last attempt (S16)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from saga.core.model import Direction, EffectStatus, NotExecuted
from saga.core.verdict import Basis, Verdict
from saga.ids import uuid7
from saga.store.sagas import EffectRow
from saga_worker.clocks import Clocks
from saga_worker.effects import LiveEffect, from_row
from tests.support.fakes import Ledger, Remembers, make_step

SENT = datetime(2026, 1, 1, tzinfo=UTC)
SILENCE = Verdict(NotExecuted("never landed", rule="quiescence"), Basis.SILENCE)


def lost_with_its_worker(remembers: Remembers, watch_for: str | None) -> LiveEffect:
    """An effect whose worker was killed in mid-call, as the next worker finds it."""
    step = make_step(Ledger(remembers), "charge", timeout="10s", watch_for=watch_for)
    row = EffectRow(
        uuid7(), "charge#1", Direction.FORWARD, 1, "charge", "fake", "k", "h", '{"what":"a"}', EffectStatus.SENT, 1,
        SENT, SENT, SENT + timedelta(seconds=10), None if remembers == "nothing" else SENT + timedelta(hours=24),
        None, None, None, None, by_statement=False, completion=None, doubt_since=None, probes=0,
    )  # fmt: skip
    return from_row(row, [], step, Clocks(timedelta(seconds=3)))


@pytest.mark.parametrize(
    ("remembers", "watch_for", "seconds"),
    [("nothing", "1h", 3600.0), ("all", None, 24 * 3600 - 10.0), ("all", "5m", 300.0)],
)
def test_s16_a_lost_attempt_that_silence_settles_is_watched(
    remembers: Remembers, watch_for: str | None, seconds: float
) -> None:
    """S16: nobody saw the attempt's end, and still it may land: for watch_for, else for the key's life, and once."""
    effect = lost_with_its_worker(remembers, watch_for)
    effect.conclude(SILENCE)
    watch = effect.take_watch()
    assert watch is not None
    assert (watch.step, watch.seconds) == ("charge#1", seconds)
    assert effect.take_watch() is None

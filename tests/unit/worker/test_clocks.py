"""The worker's idea of the lease is never later than the database's, and its now never ahead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from saga.clock import boottime
from saga_worker.clocks import LEASE_SHARE, Clocks

LEASE = timedelta(seconds=10)
THERE = datetime(2026, 1, 1, tzinfo=UTC)


def test_nothing_observed_is_no_lease() -> None:
    """A worker that has committed nothing yet must not send."""
    assert not Clocks(LEASE).holds(0)


def test_the_lease_counts_from_before_the_round_trip() -> None:
    """S11, S35: however long a commit took, the lease ends here no later than in the database."""
    clocks, now = Clocks(LEASE), boottime()
    began = (
        now - LEASE.total_seconds() * LEASE_SHARE
    )  # the commit began a whole lease ago, and came back just now
    clocks.observe(0, began, now, THERE)
    assert not clocks.holds(0)
    clocks.observe(0, began + 5, now, THERE)
    assert clocks.holds(0)


def test_each_lane_has_its_own_lease() -> None:
    """A lane that still commits says nothing about one that does not."""
    clocks, now = Clocks(LEASE), boottime()
    clocks.observe(0, now, now, THERE)
    assert clocks.holds(0)
    assert not clocks.holds(1)


def test_the_now_counts_from_after_the_round_trip() -> None:
    """The estimate of the database's now is never ahead, whatever the round trip took."""
    clocks, after = Clocks(LEASE), boottime()
    clocks.observe(0, after - 7, after, THERE)
    estimate, passed = clocks.now(), boottime() - after
    assert THERE <= estimate <= THERE + timedelta(seconds=passed)


def test_an_older_observation_changes_nothing() -> None:
    """A lane whose reply was known before another's does not turn the now back."""
    clocks, now = Clocks(LEASE), boottime()
    clocks.observe(0, now, now, THERE + timedelta(hours=1))
    clocks.observe(1, now - 3, now - 2, THERE)
    assert clocks.now() >= THERE + timedelta(hours=1)


def test_a_clock_that_jumps_back_only_delays() -> None:
    """S35: when the database's clock was set back, the worker follows it, and so nothing is due too early."""
    clocks, now = Clocks(LEASE), boottime()
    clocks.observe(0, now, now, THERE)
    clocks.observe(0, now + 0.001, now + 0.001, THERE - timedelta(hours=1))
    assert clocks.now() < THERE


def test_a_jump_of_the_databases_clock_lets_nothing_pass() -> None:
    """S16: how long ago an intent was, is counted from the first commit that this worker saw behind it."""
    clocks, now = Clocks(LEASE), boottime()
    clocks.observe(0, now - 1, now - 1, THERE)
    clocks.observe(0, now, now, THERE + timedelta(hours=1))
    assert clocks.now() >= THERE + timedelta(hours=1)
    assert clocks.passed_since(THERE + timedelta(seconds=1)) < 1


def test_what_was_before_the_first_commit_passed_since_then_at_least() -> None:
    """A worker cannot have seen more pass than its own life."""
    clocks, now = Clocks(LEASE), boottime()
    assert clocks.passed_since(THERE) == 0
    clocks.observe(0, now - 3, now - 3, THERE)
    assert 3 <= clocks.passed_since(THERE - timedelta(days=1)) < 3 + boottime() - now + 0.1
    assert clocks.passed_since(THERE + timedelta(days=1)) == 0

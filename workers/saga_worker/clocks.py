"""The worker's idea of the database's now, and of how long its lease still holds.

Rules that hold here (S11, S16, S35): ages and deadlines are the database's; between two commits they are
carried forward on CLOCK_BOOTTIME, from the end of the round trip, so that the estimate is never ahead; the
lease is counted from before the round trip, so that it ends here no later than there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from saga.clock import boottime

LEASE_SHARE = 0.8
"""The part of the lease that a worker trusts; the rest is for what clocks and pauses may hide."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often an idle worker looks, in seconds: what it may miss is made up for by then at the latest.

    beat: between signs of life, where `share` of the lease is longer. look: for work that nobody announced; `eager`:
    the first time after there was some. round: for sleepers that are due, questions and watches. reap: for workers
    that are silent.
    """

    beat: float = 0.5
    share: float = 0.2
    eager: float = 0.02
    look: float = 0.5
    round: float = 0.5
    reap: float = 0.5


class Clocks:
    """Observes commits; answers what time it is there, and whether we may still send."""

    def __init__(self, lease: timedelta) -> None:
        """Nothing observed yet: no lease."""
        self._lease = lease.total_seconds() * LEASE_SHARE
        self._now = datetime(1970, 1, 1, tzinfo=UTC)
        self._seen_boot = 0.0
        self._lanes: dict[int, float] = {}

    def observe(self, lane: int, before: float, after: float, now: datetime) -> None:
        """A commit of `lane` that began after `before` and was known at `after`, with the database's now."""
        self._lanes[lane] = before + self._lease
        if after >= self._seen_boot:
            # The database's clock may jump; forward only counts once our own clock has seen it pass.
            self._now, self._seen_boot = now, after

    @staticmethod
    def boot() -> float:
        """Seconds on CLOCK_BOOTTIME."""
        return boottime()

    def now(self) -> datetime:
        """The database's now, never ahead of it."""
        return self._now + timedelta(seconds=boottime() - self._seen_boot)

    def holds(self, lane: int) -> bool:
        """Whether the lease certainly still holds, by our own clock."""
        return boottime() < self._lanes.get(lane, 0.0)

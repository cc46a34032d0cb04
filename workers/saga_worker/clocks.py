"""The worker's idea of the database's now, and of how long its lease still holds.

Rules that hold here (S11, S16, S35): ages and deadlines are the database's; between two commits they are
carried forward on CLOCK_BOOTTIME, from the end of the round trip, so that the estimate is never ahead; the
lease is counted from before the round trip, so that it ends here no later than there. How long ago something
was is never taken from the database's clock alone: it may have jumped, and a jump lets nothing land.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from saga.clock import boottime

LEASE_SHARE = 0.8
"""The part of the lease that a worker trusts; the rest is for what clocks and pauses may hide."""

MARK_S = 0.2
"""How far apart the commits are that a worker remembers."""
MARKS_MOST = 10_000
"""So many it remembers; beyond that the older ones farther apart, and the first one always."""


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
        self._marks: list[tuple[datetime, float]] = []

    def observe(self, lane: int, before: float, after: float, now: datetime) -> None:
        """A commit of `lane` that began after `before` and was known at `after`, with the database's now."""
        self._lanes[lane] = before + self._lease
        if after >= self._seen_boot:
            # The database's clock may jump; forward only counts once our own clock has seen it pass.
            self._now, self._seen_boot = now, after
            self._mark(now, after)

    def _mark(self, now: datetime, after: float) -> None:
        marks = self._marks
        if not marks or (after - marks[-1][1] >= MARK_S and now > marks[-1][0]):
            marks.append((now, after))
        if len(marks) > MARKS_MOST:
            del marks[1 : MARKS_MOST // 2 : 2]

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

    def passed_since(self, moment: datetime) -> float:
        """How many seconds have certainly passed, by our own clock, since the database's clock showed `moment`.

        Counted from the first commit that we saw behind it: what came before that is hearsay of one clock (S16).
        """
        first = bisect_left(self._marks, moment, key=lambda mark: mark[0])
        return boottime() - self._marks[first][1] if first < len(self._marks) else 0.0

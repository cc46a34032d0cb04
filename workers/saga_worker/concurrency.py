"""How many sagas a worker holds at once: as many as it was told, unless it is too slow for so many.

Rules that hold here: a worker that has too little CPU takes less, because a call that waits for its turn runs into its
timeout, and then it has to be settled: work that makes more work. What is measured is what eats a call's budget here:
the time from before the intent's commit until the call is made. A worker begins with a few, and doubles when as many as were
last let in have made a call in time, however long those calls take: whatever it finds waiting when it starts must not come over
it at once. What is in memory already is left alone. A saga whose call is out is no work until the reply comes, and does not count; what was
once too much is forgotten when no call has been late for a while.
"""

from __future__ import annotations

from itertools import takewhile
from uuid import UUID

from saga.logs import log

OUT_S = 0.1
"""A call that has been out for so long is the service's work and not ours."""
LAG_S = 0.25
"""A call that waited longer came too late: budgets of a second are common, and some are shorter."""
PAUSE_S = 1.0
"""The limit falls once in this time: what was begun before it fell says nothing of what it is now."""
FIRST, LEAST = 16, 4
FORGOTTEN_S = 30.0
"""So long after the last call that came too late, nobody knows any more what is too much."""
STEPS_UP = 8.0
"""Beyond where it has once been too slow, a round of calls raises the limit by so many."""


class Calls:
    """Which sagas have a call out, by the newest of each. Times are seconds of boot time."""

    def __init__(self) -> None:
        """None yet."""
        self._new: dict[UUID, float] = {}
        self._long: set[UUID] = set()

    def began(self, saga: UUID, now: float) -> None:
        """A call of this saga is made now."""
        self.ended(saga)
        self._new[saga] = now

    def ended(self, saga: UUID) -> None:
        """It came back, or the saga left."""
        self._new.pop(saga, None)
        self._long.discard(saga)

    def long(self, now: float) -> int:
        """How many sagas are no work at this moment, because their call has been out for a while."""
        grown = [saga for saga, _ in takewhile(lambda call: now - call[1] >= OUT_S, self._new.items())]
        for saga in grown:
            del self._new[saga]
        self._long.update(grown)
        return len(self._long)


class Concurrency:
    """The limit. `most`: as many as the worker was told to hold."""

    def __init__(self, most: int) -> None:
        """A few, to begin with."""
        self._most = float(most)
        self._limit = min(self._most, FIRST)
        self._let_in, self._called = self._limit, 0
        self._safe = self._most
        self._fell = self._late = float("-inf")

    def room(self, at_work: int, now: float) -> int:
        """How many more, when so many are at work. now: seconds of boot time."""
        if self._safe < self._most and now - self._late >= FORGOTTEN_S:
            self._safe, self._let_in, self._called = self._most, float(FIRST), 0
            self._limit = min(self._most, max(self._limit, at_work + FIRST))
        return int(self._limit) - at_work

    def called(self, waited: float, at_work: int, now: float) -> None:
        """A call was made after it had waited so many seconds, with so many at work. now: seconds of boot time."""
        if waited <= LAG_S:
            self._rise()
            return
        self._late = now
        if now - self._fell >= PAUSE_S:
            self._fell, self._called = now, 0
            self._safe = self._limit = max(min(LEAST, self._most), min(self._limit, at_work) / 2)
            log.warning("worker_overloaded", waited_s=round(waited, 3), concurrency=int(self._limit))

    def _rise(self) -> None:
        if self._limit >= self._safe:
            self._limit = min(self._most, self._limit + STEPS_UP / self._limit)
            return
        self._called += 1
        if self._called >= self._let_in:
            self._let_in, self._called = self._limit, 0
            self._limit = min(self._most, self._limit * 2)

"""How many sagas a worker holds at once: as many as it was told, and fewer while its own event loop lags.

Rules that hold here: a worker that has too little CPU takes less, because calls that wait for the loop run into
their timeouts, and each of them has to be settled: work that makes more work. What is in memory already is left
alone. The lag is measured at every claim and costs no timer: the time in which the loop gets to what was claimed.
"""

from __future__ import annotations

from saga.logs import log

LAG_S = 0.25
"""A loop that takes longer to get to its work is overloaded: steps have budgets of a second and less."""
STEP_S = 1.0
"""The limit moves once in this time: a change must have shown its effect before the next."""
LEAST = 4


class Concurrency:
    """The limit. `most`: as many as the worker was told to hold."""

    def __init__(self, most: int) -> None:
        """All that it was told."""
        self._most = most
        self._limit = most
        self._moved = float("-inf")

    def room(self, taken: int) -> int:
        """How many more, when so many are taken."""
        return self._limit - taken

    def lagged(self, lag: float, taken: int, now: float) -> None:
        """The loop took `lag` seconds to get to what was claimed, with so many taken. now: seconds of boot time."""
        if now - self._moved < STEP_S:
            return
        if lag > LAG_S:
            self._move(max(min(LEAST, self._most), min(self._limit, taken) // 2), now)
            log.warning("worker_overloaded", lag_s=round(lag, 3), concurrency=self._limit)
        elif self._limit < self._most:
            self._move(min(self._most, self._limit + max(1, self._limit // 4)), now)

    def _move(self, limit: int, now: float) -> None:
        self._limit, self._moved = limit, now

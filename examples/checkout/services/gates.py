"""Gates: a test holds a request at an exact point, does what it came for, and lets it go.

A gate is closed for the next `count` requests of one operation, *before* the effect or *after* it (booked, no reply
yet). A request that meets a closed gate stays there until the gate is opened, whatever became of its client.
"""

import asyncio
from enum import StrEnum


class Point(StrEnum):
    """Where a gate stands on the way of a request."""

    BEFORE = "before"  # arrived, nothing done
    AFTER = "after"  # the effect is booked, nothing replied


class Gates:
    """All gates of one service. Used from its event loop only."""

    def __init__(self) -> None:
        self._closed_for: dict[tuple[str, Point], int] = {}
        self._held: dict[tuple[str, Point], list[asyncio.Event]] = {}
        self._somebody_came = asyncio.Condition()

    def close(self, operation: str, point: Point, count: int) -> None:
        """The next `count` requests that come to this gate are held."""
        self._closed_for[operation, point] = self._closed_for.get((operation, point), 0) + count

    def open(self, operation: str, point: Point) -> int:
        """Lets everybody who is held go on, and holds nobody from now on. Returns how many went."""
        self._closed_for.pop((operation, point), None)
        going = self._held.pop((operation, point), [])
        for event in going:
            event.set()
        return len(going)

    def held(self, operation: str, point: Point) -> int:
        """How many requests wait at this gate now."""
        return len(self._held.get((operation, point), []))

    async def go_through(self, operation: str, point: Point) -> None:
        """Returns at once where the gate is open."""
        left = self._closed_for.get((operation, point), 0)
        if left <= 0:
            return
        self._closed_for[operation, point] = left - 1
        released = asyncio.Event()
        self._held.setdefault((operation, point), []).append(released)
        async with self._somebody_came:
            self._somebody_came.notify_all()
        await released.wait()

    async def wait_held(self, operation: str, point: Point, count: int, within: float) -> int:
        """Waits until `count` requests are held, at most `within` seconds. Returns how many are."""
        try:
            async with asyncio.timeout(within), self._somebody_came:
                await self._somebody_came.wait_for(lambda: self.held(operation, point) >= count)
        except TimeoutError:
            pass
        return self.held(operation, point)

"""The time that the model of the store lives by: whoever drives it says what time it is.

Rule that holds here: nothing else of this package reads a clock, so that a simulator decides when anything happens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol


class Cancel(Protocol):
    """What can be called off before it happens."""

    def cancel(self) -> None:
        """Call it off; afterwards, nothing."""
        ...


class Timers(Protocol):
    """Virtual time in seconds. `later` with 0 is the next turn, never a call from inside."""

    def now(self) -> float:
        """Seconds since the world began; never set back."""
        ...

    def later(self, seconds: float, callback: Callable[[], None]) -> Cancel:
        """Call `callback` so many seconds from now; those of one moment in the order in which they were asked for."""
        ...


class LoopTimers:
    """The time of the running event loop, for tests that live in an ordinary one."""

    def __init__(self) -> None:
        """In the loop that runs now."""
        self._loop = asyncio.get_running_loop()

    def now(self) -> float:
        """The loop's own time, in seconds."""
        return self._loop.time()

    def later(self, seconds: float, callback: Callable[[], None]) -> Cancel:
        """As the loop does it."""
        return self._loop.call_later(seconds, callback) if seconds > 0 else self._loop.call_soon(callback)

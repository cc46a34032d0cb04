"""The schedule's own pace, and waiting for a condition with a deadline.

Rule: nothing here makes anything happen by waiting longer; `pause` is how far apart faults and customers come.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

LOOK_EVERY_S = 0.1


class NotInTime(Exception):
    """What was waited for did not come; the message says what."""


async def pause(seconds: float) -> None:
    """So long, by the schedule."""
    if seconds > 0:
        await asyncio.sleep(seconds)


async def until(holds: Callable[[], Awaitable[bool]], within: float, what: str) -> float:
    """How long it took until it held.

    Raises:
        NotInTime: it did not.
    """
    began = time.monotonic()
    while not await holds():
        if time.monotonic() > began + within:
            raise NotInTime(f"{what}: not within {within:g} s")
        await pause(LOOK_EVERY_S)
    return time.monotonic() - began

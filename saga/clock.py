"""The two local clocks: time since boot, suspend included, and nothing that jumps (S35)."""

from __future__ import annotations

import time


def boottime() -> float:
    """Seconds on CLOCK_BOOTTIME, which counts through suspend; elsewhere on the monotonic clock."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)

"""The clock that budgets are counted on.

Rule that holds here: a budget is counted on CLOCK_BOOTTIME (S35), because `time.monotonic` stops while a
machine sleeps, and an attempt would then be sent after its deadline. Elsewhere than on Linux the monotonic
clock is what there is.
"""

from __future__ import annotations

import sys
import time


def boottime() -> float:
    """Seconds since boot, suspend included where the system can tell. Only differences mean anything."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()

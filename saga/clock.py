"""The local clock: time since boot, suspend included, and nothing that jumps (S35)."""

from __future__ import annotations

from saga.ports import ports


def boottime() -> float:
    """Seconds on CLOCK_BOOTTIME, which counts through suspend; elsewhere on the monotonic clock."""
    return ports().boottime()

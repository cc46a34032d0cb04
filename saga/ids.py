"""Ids made by the client: UUIDv7 (RFC 9562), so that they sort by time and no sequence is needed."""

from __future__ import annotations

import os
import time
import uuid

_last = 0


def uuid7() -> uuid.UUID:
    """A new id: 48 bits of Unix milliseconds, 12 bits of their fraction, the rest random.

    Ids of one thread sort in the order in which they were made (RFC 9562, 6.2, method 3), also when the clock was
    set back: evidence of one transaction has one time, and its order is the order of the ids.
    """
    global _last  # noqa: PLW0603 - the order of ids is the process's
    ticks = _last = max(time.time_ns() * 4096 // 1_000_000, _last + 1)
    value = ((ticks >> 12) << 80) | ((ticks & 0xFFF) << 64) | int.from_bytes(os.urandom(8), "big")
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return uuid.UUID(int=value)

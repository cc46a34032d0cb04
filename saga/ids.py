"""Ids made by the client: UUIDv7 (RFC 9562), so that they sort by time and no sequence is needed."""

from __future__ import annotations

import uuid

from saga.ports import ports


def uuid7() -> uuid.UUID:
    """A new id: 48 bits of Unix milliseconds, 12 bits of their fraction, the rest random.

    Ids of one machine sort in the order in which they were made (RFC 9562, 6.2, method 3), also when the clock was
    set back: evidence of one transaction has one time, and its order is the order of the ids.
    """
    machine = ports()
    ticks = machine.last_tick = max(machine.unix_ns() * 4096 // 1_000_000, machine.last_tick + 1)
    value = ((ticks >> 12) << 80) | ((ticks & 0xFFF) << 64) | machine.random_bits(64)
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return uuid.UUID(int=value)

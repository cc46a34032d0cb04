"""Ids are made by the client, sort by time, and within a process by the order in which they were made."""

from __future__ import annotations

import time
import uuid

from saga.ids import uuid7


def test_ids_sort_in_the_order_in_which_they_were_made() -> None:
    """Ten thousand ids of one process are all different and in order, however many fall into a millisecond."""
    ids = [uuid7() for _ in range(10_000)]
    assert ids == sorted(set(ids))


def test_an_id_is_a_uuid_of_version_7_that_tells_its_millisecond() -> None:
    """Version, variant and time are where RFC 9562 wants them."""
    before = time.time_ns() // 1_000_000
    made = uuid7()
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000 + 1_000

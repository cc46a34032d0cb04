"""Late watches: effects that were settled by silence, asked about until nothing can land any more (S16).

Rules that hold here: a watch is taken by one worker at a time, which moves its next probe before it asks; the
pauses double, up to an hour; at its end there is one last answer, then it is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from saga.core.model import Direction
from saga.store.connections import Connection
from saga.store.sql import Statement

TAKE = Statement(
    "take_watches",
    "Locks watches that are due, and never waits. Zero rows: none is due, or no definition of theirs is served. A saga is"
    " looked up for each, because a join without statistics read every saga there is to find few watches.",
    "WITH w AS MATERIALIZED (SELECT q.saga_id, q.step, q.direction FROM {s}.watch q WHERE q.next_at <= now()"
    " AND (SELECT (s.name, s.version) IN (SELECT * FROM unnest(%(names)s::text[], %(versions)s::int[]))"
    " FROM {s}.saga s WHERE s.id = q.saga_id)"
    " ORDER BY q.next_at LIMIT 20 FOR NO KEY UPDATE OF q SKIP LOCKED)"
    " UPDATE {s}.watch q SET asked = q.asked + 1,"
    " next_at = now() + least(interval '10 s' * power(2, least(q.asked, 12)), interval '1 hour')"
    " FROM w WHERE q.saga_id = w.saga_id AND q.step = w.step AND q.direction = w.direction"
    " RETURNING q.saga_id, q.step, q.direction, (SELECT s.name FROM {s}.saga s WHERE s.id = q.saga_id),"
    " (SELECT s.version FROM {s}.saga s WHERE s.id = q.saga_id), q.until <= now()",
)
DROP = Statement(
    "drop_watch",
    "Locks one watch. Zero rows: it was dropped before.",
    "DELETE FROM {s}.watch WHERE saga_id = %(saga)s AND step = %(step)s AND direction = %(direction)s",
)


@dataclass(frozen=True, slots=True)
class Watch:
    """One effect to be asked about now. `last`: its time is over, this answer is the last."""

    saga_id: UUID
    step: str
    direction: Direction
    name: str
    version: int
    last: bool


async def take(connection: Connection, schema: str, serves: tuple[list[str], list[int]]) -> list[Watch]:
    """The watches that are due and that these definitions can serve."""
    values = {"names": serves[0], "versions": serves[1]}
    rows = await (await connection.execute(TAKE.on(schema).encode(), values)).fetchall()
    return [Watch(i, step, Direction(way), name, version, last) for i, step, way, name, version, last in rows]


async def drop(connection: Connection, schema: str, watch: Watch) -> None:
    """End a watch: it has found something, or nothing can land any more."""
    values = {"saga": watch.saga_id, "step": watch.step, "direction": watch.direction.value}
    await connection.execute(DROP.on(schema).encode(), values)

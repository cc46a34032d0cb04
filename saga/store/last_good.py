"""What reads returned last, shared by all workers, for when they cannot be had.

Rules that hold here: this is a cache, written beside the journal and never in its batches, and nothing that it has lost is
missed; a newer value is never replaced by an older one; its age is counted by the database's clock alone; what nobody may
take any more is swept away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from saga.store.columns import Column
from saga.store.connections import Connection
from saga.store.sql import Statement

SWEPT_AT_ONCE = 500

KEEP = Statement(
    "last_good_keep",
    "Inserts or locks values in the order of their hashes, so that two workers that keep the same ones wait and never"
    " deadlock. A row that is not written: what is there is newer. Zero rows: all of them are.",
    "INSERT INTO {s}.last_good AS g (hash, step, value, at, until)"
    " SELECT u.hash, u.step, u.value::json, now() - make_interval(secs => u.age), now() + make_interval(secs => u.more)"
    " FROM unnest(%(hash)s::text[], %(step)s::text[], %(value)s::text[], %(age)s::float8[], %(more)s::float8[])"
    " AS u(hash, step, value, age, more) ORDER BY u.hash"
    " ON CONFLICT (hash) DO UPDATE SET value = excluded.value, at = excluded.at,"
    " until = greatest(g.until, excluded.until) WHERE g.at < excluded.at",
)
FIND = Statement(
    "last_good_find",
    "Locks nothing. A missing row: nothing was kept, or it was swept away.",
    "SELECT hash, value, now() - at FROM {s}.last_good WHERE hash = ANY(%(hashes)s::text[])",
)
SWEEP = Statement(
    "last_good_sweep",
    "Deletes values that are older than anybody wanted them, and never waits. Zero rows: there are none.",
    "WITH g AS MATERIALIZED (SELECT hash FROM {s}.last_good WHERE until < now() ORDER BY until LIMIT %(limit)s"
    " FOR UPDATE SKIP LOCKED)"
    " DELETE FROM {s}.last_good l USING g WHERE l.hash = g.hash",
)


@dataclass(frozen=True, slots=True)
class Keep:
    """A value to be kept. value: JSON text. age: seconds since it was returned. more: seconds for which anybody may want it."""

    hash: str
    step: str
    value: str
    age: float
    more: float


@dataclass(frozen=True, slots=True)
class Kept:
    """A value that was kept. value: JSON text. age: seconds since the step returned it."""

    value: str
    age: float


async def keep(connection: Connection, schema: str, values: Sequence[Keep]) -> None:
    """Keep these values, each hash once, where nothing newer is there."""
    columns = ("hash", "step", "value", "age", "more")
    rows = {column: Column(getattr(one, column) for one in values) for column in columns}
    await connection.execute(KEEP.on(schema).encode(), rows)


async def find(connection: Connection, schema: str, hashes: Sequence[str]) -> Mapping[str, Kept]:
    """What was kept under these hashes, however old."""
    cursor = await connection.execute(FIND.on(schema).encode(), {"hashes": Column(hashes)})
    return {row[0]: Kept(row[1], max(0.0, row[2].total_seconds())) for row in await cursor.fetchall()}


async def sweep(connection: Connection, schema: str) -> None:
    """Delete some of what nobody may take any more."""
    await connection.execute(SWEEP.on(schema).encode(), {"limit": SWEPT_AT_ONCE})

"""Starting many sagas of one definition: one statement, one transaction, all or none.

Rules that hold here: rows are inserted in the order of their keys, so that two starters of the same keys wait for each other
and never deadlock; keys that were taken are compared, not written; who waits for work is told once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from saga.core.model import UNBEGUN
from saga.store.columns import Column
from saga.store.connections import Connection
from saga.store.sql import Statement
from saga.store.starts import NewSaga, Started
from saga.store.wakeups import channel

START_MANY = Statement(
    "start_many",
    "Inserts sagas in the order of their keys; waits while another transaction starts one of them. A row that does not come"
    " back: its key is taken. The hint stands in a subquery, which is run once and not for each row.",
    "WITH w AS (SELECT greatest(now(), coalesce(to_timestamp(%(at)s::float8),"
    " now() + make_interval(secs => %(after)s::float8), now())) AS at)"
    " INSERT INTO {s}.saga (id, name, version, key, status, input, input_hash, deadline_at, wake_at, waiting_for)"
    " SELECT u.id, %(name)s, %(version)s, u.key, CASE WHEN w.at > now() THEN 'asleep' ELSE 'ready' END, u.input::json,"
    " u.input_hash, w.at + make_interval(secs => %(deadline)s::float8), w.at,"
    f" CASE WHEN w.at > now() THEN '{UNBEGUN}' END"
    " FROM w, unnest(%(ids)s::uuid[], %(keys)s::text[], %(inputs)s::text[], %(hashes)s::text[])"
    " AS u(id, key, input, input_hash) ORDER BY u.key"
    " ON CONFLICT (name, key) DO NOTHING RETURNING key, id, input_hash, (SELECT pg_notify(%(channel)s, ''))",
)
TAKEN_MANY = Statement(
    "taken_many",
    "Locks the keys in their order, for the reason of `taken`. A missing row: whoever had the key has rolled back since.",
    "SELECT key, id, input_hash FROM {s}.saga WHERE name = %(name)s AND key = ANY(%(keys)s) ORDER BY key FOR KEY SHARE",
)
TAG_MANY = Statement(
    "tag_many",
    "Inserts the tags of sagas that start_many has inserted in this transaction. Zero rows cannot be.",
    "INSERT INTO {s}.tag (saga_id, name, value) SELECT u.id, t.key, t.value"
    " FROM unnest(%(ids)s::uuid[]) AS u(id), json_each_text(%(tags)s::json) t",
)


async def start_many(connection: Connection, schema: str, new: Sequence[NewSaga]) -> dict[str, Started]:
    """Start them in the transaction that is open; what stands under each key. All are of one definition, begin at
    one time and have the same tags, and no key comes twice.
    """
    found: dict[str, Started] = {}
    while left := [one for one in new if one.key not in found]:
        values = {
            "ids": Column(one.id for one in left), "keys": Column(one.key for one in left), "name": left[0].name,
            "inputs": Column(one.input for one in left), "hashes": Column(one.input_hash for one in left),
            "version": left[0].version, "deadline": left[0].deadline, "channel": channel(schema),
            "after": left[0].after, "at": left[0].at,
        }  # fmt: skip
        started = await _rows(connection, START_MANY.on(schema), values)
        found |= started
        if started and left[0].tags is not None:
            tagged = {"ids": Column(one.id for one in started.values()), "tags": left[0].tags}
            await connection.execute(TAG_MANY.on(schema).encode(), tagged)
        taken = [one.key for one in left if one.key not in found]
        if taken:
            found |= await _rows(
                connection, TAKEN_MANY.on(schema), {"name": left[0].name, "keys": Column(taken)}
            )
    return found


async def _rows(connection: Connection, statement: str, values: Mapping[str, object]) -> dict[str, Started]:
    cursor = await connection.execute(statement.encode(), values)
    rows: list[tuple[str, UUID, str]] = [(row[0], row[1], row[2]) for row in await cursor.fetchall()]
    return {key: Started(saga_id, input_hash) for key, saga_id, input_hash in rows}

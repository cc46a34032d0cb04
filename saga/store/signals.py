"""Signals: what is sent to a saga while it runs, kept until a wait of its function takes it.

Rules that hold here: sending wakes, in the same transaction (no lost wake-ups); a signal has the number of that wake-up, so
that signals of one saga are in the order in which they were sent; it is inserted once, and which wait took it is told by
that wait's moment, and by nothing else; under a key it is sent once.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from saga.core.model import ENDS, Direction, SagaStatus
from saga.errors import AlreadyEnded, KeyConflict, NotFoundError
from saga.store.connections import Connection
from saga.store.sql import Statement
from saga.store.wakeups import channel

Row: TypeAlias = tuple[Any, ...]
Asking: TypeAlias = Generator[tuple[Statement, dict[str, Any]], Row | None, None]
"""Statements one after the other, each with its values; it is given the first row of each."""

SIGNAL_WAKE = Statement(
    "signal_wake",
    "Locks one saga, and wakes it as `wake` does; but one that was started for later begins when it was told to. Zero rows: there is none of this key, or no wait of it can take a signal any"
    " more, because it has ended or is being undone.",
    "UPDATE {s}.saga SET inbox = inbox + 1,"
    " wake_at = CASE WHEN status = 'asleep' AND epoch = 0 THEN wake_at ELSE least(wake_at, now()) END,"
    " status = CASE WHEN status = 'parked' OR (status = 'asleep' AND epoch > 0) THEN 'ready' ELSE status END,"
    " park_cause = NULL, park_reason = NULL, park_detail = NULL, updated_at = now()"
    " WHERE name = %(name)s AND key = %(key)s AND direction = 'forward'"
    " AND status NOT IN ('completed', 'compensated', 'abandoned')"
    " RETURNING CAST(id AS text), inbox, pg_notify(%(channel)s, '')",
)
SIGNAL_SEND = Statement(
    "signal_send",
    "Inserts one signal of the saga that signal_wake has locked. Zero rows: it was sent under this key before.",
    "INSERT INTO {s}.signal (id, saga_id, number, name, key, payload)"
    " VALUES (CAST(%(id)s AS uuid), CAST(%(saga)s AS uuid), CAST(%(number)s AS bigint), %(signal)s, %(once)s,"
    " CAST(%(payload)s AS json)) ON CONFLICT (saga_id, name, key) DO NOTHING RETURNING CAST(id AS text)",
)
SIGNAL_THERE = Statement(
    "signal_there",
    "Locks the saga's key, for the reason of `taken`. Zero rows: there is no such saga. A NULL payload: no such signal.",
    "SELECT s.status, s.direction, (SELECT CAST(g.payload AS text) FROM {s}.signal g WHERE g.saga_id = s.id"
    " AND g.name = %(signal)s AND g.key = %(once)s) FROM {s}.saga s WHERE s.name = %(name)s AND s.key = %(key)s"
    " FOR KEY SHARE OF s",
)
SIGNALS_OF = Statement(
    "signals_of",
    "Locks nothing. Zero rows: nothing was sent to these sagas.",
    "SELECT saga_id, id, number, name, key, payload, sent_at FROM {s}.signal WHERE saga_id = ANY(%(ids)s)"
    " ORDER BY saga_id, number",
)


@dataclass(frozen=True, slots=True)
class NewSignal:
    """A signal that is to be sent. saga, to: the saga's name and business key. key: under which it is sent once."""

    id: UUID
    saga: str
    to: str
    name: str
    payload: str
    key: str | None


@dataclass(slots=True)
class SignalRow:
    """One signal, in the order of the statement's columns. payload: JSON text."""

    saga_id: UUID
    id: UUID
    number: int
    name: str
    key: str | None
    payload: str
    sent_at: datetime


def sending(schema: str, new: NewSignal) -> Asking:
    """What sends it, in whatever transaction runs these statements.

    Raises:
        NotFoundError: there is no such saga.
        AlreadyEnded: it has ended, or is being undone.
        KeyConflict: the key was used with another payload.
    """
    values = {"name": new.saga, "key": new.to, "signal": new.name, "once": new.key}
    woken = yield SIGNAL_WAKE, {"name": new.saga, "key": new.to, "channel": channel(schema)}
    if woken is not None:
        signal = {
            "id": str(new.id),
            "saga": str(woken[0]),
            "number": woken[1],
            "signal": new.name,
            "once": new.key,
        }
        if (yield SIGNAL_SEND, {**signal, "payload": new.payload}) is not None:
            return
    there = yield SIGNAL_THERE, values
    if there is None:
        raise NotFoundError(f"there is no saga {new.saga} with the key {new.to!r}: start it first")
    status, direction, payload = there
    if payload is None:
        raise _ended(new, SagaStatus(status), Direction(direction))
    if json.loads(payload) != json.loads(new.payload):
        raise KeyConflict(
            f"the signal {new.name} was sent to {new.to} under the key {new.key!r} with another payload: use a new key"
        )


def _ended(new: NewSignal, status: SagaStatus, direction: Direction) -> AlreadyEnded:
    gone = f"has ended, it is {status}" if status in ENDS else "is being undone"
    assert status in ENDS or direction is Direction.BACKWARD, "else it would have been woken"
    return AlreadyEnded(
        f"too late: saga {new.to} {gone}, and no wait of it takes the signal {new.name} any more"
    )


async def send_own(connection: Connection, schema: str, new: NewSignal) -> None:
    """Send it in the transaction of a connection of ours."""
    asking, row = sending(schema, new), None
    while True:
        try:
            statement, values = asking.send(row)
        except StopIteration:
            return
        row = await (await connection.execute(statement.on(schema).encode(), values)).fetchone()


async def sent(connection: Connection, schema: str, ids: Sequence[UUID]) -> list[SignalRow]:
    """What was sent to these sagas, in its order."""
    cursor = await connection.execute(SIGNALS_OF.on(schema).encode(), {"ids": list(ids)})
    return [SignalRow(*row) for row in await cursor.fetchall()]

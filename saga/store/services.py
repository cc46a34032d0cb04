"""The table `service`: how each service stands, shared by all workers; and the sagas that sleep until one lets them in.

Rules that hold here: a row is there from the first time that a service is opened or held, and is written when its state
changes, never for a call that simply went well; what follows from what is the pure `saga.core.breaker`'s to say, under the
row's lock; a saga that waits for nothing but one service sleeps with `waiting_for` = "service NAME", by which it is found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from saga.core.breaker import Circuit, State, released
from saga.store.connections import Connection, verified
from saga.store.requests import HINT
from saga.store.sql import Statement
from saga.store.wakeups import channel

PREFIX = "service "
"""How the `waiting_for` of a saga begins that sleeps until a service lets it in."""

_COLUMNS = (
    "v.name, v.state, v.turn, v.since, v.reason, v.cool_down, v.next_at, v.wave, v.taken, v.passed, v.held_by, v.held_because,"
    " v.held_at, now(), EXISTS (SELECT FROM {s}.saga s WHERE s.status = 'asleep' AND starts_with(s.waiting_for, 'service ')"
    " AND s.waiting_for = 'service ' || v.name)"
)
ALL = Statement(
    "service_all",
    "Locks nothing. Zero rows: no service was ever opened or held.",
    f"SELECT {_COLUMNS} FROM {{s}}.service v ORDER BY v.name",
)
LOCK = Statement(
    "service_lock",
    "Locks one service. Zero rows: it was never opened or held.",
    f"SELECT {_COLUMNS} FROM {{s}}.service v WHERE v.name = %(name)s FOR NO KEY UPDATE OF v",
)
ADD = Statement(
    "service_add",
    "Inserts one closed service. Zero rows: another was faster, and its row is locked next.",
    "INSERT INTO {s}.service (name, cool_down) VALUES (%(name)s, %(cool_down)s) ON CONFLICT (name) DO NOTHING",
)
PUT = Statement(
    "service_put",
    "Updates the service that service_lock has locked. Never zero rows.",
    "UPDATE {s}.service SET state = %(state)s, turn = %(turn)s, since = %(since)s, reason = %(reason)s,"
    " cool_down = %(cool_down)s, next_at = %(next_at)s, wave = %(wave)s, taken = %(taken)s, passed = %(passed)s,"
    " held_by = %(held_by)s, held_because = %(held_because)s, held_at = %(held_at)s WHERE name = %(name)s",
)
RELEASE = Statement(
    "service_release",
    "Locks sleepers of one service, those first that look again first, and never waits. Zero rows: nobody waits for it.",
    "WITH d AS MATERIALIZED (SELECT id FROM {s}.saga WHERE status = 'asleep' AND starts_with(waiting_for, 'service ')"
    " AND waiting_for = %(waiting_for)s ORDER BY wake_at LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED)"
    " UPDATE {s}.saga s SET status = 'ready', wake_at = least(s.wake_at, now()), updated_at = now() FROM d"
    " WHERE s.id = d.id RETURNING s.id",
)


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """How a service stands. now: the database's, when it was read. waiting: whether sagas sleep until it lets them in."""

    name: str
    circuit: Circuit
    held_by: str | None
    held_because: str | None
    held_at: datetime | None
    now: datetime
    waiting: bool

    @classmethod
    def of(cls, row: tuple[Any, ...]) -> ServiceRow:
        """From the columns of the statements above."""
        name, state, *circuit = row[:10]
        held_by, because, held_at, now, waiting = row[10:]
        stands = replace(Circuit(State(state), *circuit), held=held_by is not None)
        return cls(name, stands, held_by, because, held_at, now, waiting)

    def values(self) -> dict[str, Any]:
        """As it is written."""
        c = self.circuit
        return {
            "name": self.name, "state": c.state.value, "turn": c.turn, "since": c.since, "reason": c.reason,
            "cool_down": c.cool_down, "next_at": c.next_at, "wave": c.wave, "taken": c.taken, "passed": c.passed,
            "held_by": self.held_by, "held_because": self.held_because, "held_at": self.held_at,
        }  # fmt: skip


async def every(connection: Connection, schema: str) -> list[ServiceRow]:
    """Every service that was ever opened or held, by name."""
    cursor = await connection.execute(ALL.on(schema).encode(), {})
    return [ServiceRow.of(row) for row in await cursor.fetchall()]


async def change(
    connection: Connection, schema: str, name: str, act: Callable[[ServiceRow], ServiceRow]
) -> ServiceRow:
    """Let `act` say how the service stands from now on, and let in who follows from it: one transaction; how it stands."""
    async with verified(connection):
        return await change_within(connection, schema, name, act)


async def change_within(
    connection: Connection, schema: str, name: str, act: Callable[[ServiceRow], ServiceRow]
) -> ServiceRow:
    """The same in a transaction of the caller's; the service is locked to its end."""
    before = await _lock(connection, schema, name)
    after = act(before)
    if after == before:
        return after
    await connection.execute(PUT.on(schema).encode(), after.values())
    limit = released(before.circuit, after.circuit)
    if limit:
        await release(connection, schema, name, limit)
    return after


async def release(connection: Connection, schema: str, name: str, limit: int) -> None:
    """Make so many sagas ready that sleep until this service lets them in."""
    sleepers = {"waiting_for": PREFIX + name, "limit": limit, "channel": channel(schema)}
    cursor = await connection.execute(RELEASE.on(schema).encode(), sleepers)
    if cursor.rowcount:
        await connection.execute(HINT.on(schema).encode(), sleepers)


def moved(step: Callable[[Circuit, datetime], Circuit]) -> Callable[[ServiceRow], ServiceRow]:
    """A step of the pure machine as a change of the row."""
    return lambda row: replace(row, circuit=step(row.circuit, row.now))


async def _lock(connection: Connection, schema: str, name: str) -> ServiceRow:
    for _ in range(3):
        row = await (await connection.execute(LOCK.on(schema).encode(), {"name": name})).fetchone()
        if row is not None:
            return ServiceRow.of(row)
        new = {"name": name, "cool_down": Circuit().cool_down}
        await connection.execute(ADD.on(schema).encode(), new)
    raise AssertionError("rows of services are never deleted")

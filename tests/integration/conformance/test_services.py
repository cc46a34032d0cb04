"""How services stand, the same on Postgres and on the model: opened once, let in by waves, sleepers found by what they wait for."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from saga.core import breaker
from saga.core.breaker import RELEASED_FIRST, Circuit, State
from saga.store import services
from saga.store.connections import Connection
from saga.store.services import ServiceRow
from tests.support.stores import FAR_AHEAD, SCHEMA, Store, a_saga, execute, until_it_waits

COOL_DOWN = timedelta(seconds=20)


def opened(circuit: Circuit, now: datetime) -> Circuit:
    return breaker.opened(circuit, now, "5 failures in a row", COOL_DOWN, circuit.turn)


async def asleep(store: Store, n: int, waiting_for: str) -> None:
    await store.put("saga", a_saga(n, status="asleep", wake_at=FAR_AHEAD, waiting_for=waiting_for))


async def statuses(store: Store) -> list[str]:
    return [row["status"] for row in await store.rows("saga")]


async def test_a_service_is_written_and_read_as_it_stands(store: Store) -> None:
    """The first change makes its row; what is read back is what was written, but for the time of the reading."""
    connection = await store.connect()
    assert await services.every(connection, SCHEMA) == []
    written = await services.change(connection, SCHEMA, "psp", services.moved(opened))
    (read,) = await services.every(connection, SCHEMA)
    assert replace(read, now=written.now) == written
    assert read.circuit.state is State.OPEN
    assert read.circuit.next_at == written.now + COOL_DOWN


async def test_two_who_open_it_at_once_open_it_once(store: Store) -> None:
    """The second sees under the lock that it is open, and changes nothing."""
    one, other, eye = [await store.connect() for _ in range(3)]
    await services.change(eye, SCHEMA, "psp", lambda row: row)
    await execute(one, "BEGIN")
    first = await services.change_within(one, SCHEMA, "psp", services.moved(opened))
    second = asyncio.create_task(services.change(other, SCHEMA, "psp", services.moved(opened)))
    await until_it_waits(store, other)
    await execute(one, "COMMIT")
    assert (await second).circuit == first.circuit


async def test_a_wave_lets_in_as_many_sleepers_as_it_has_places(store: Store) -> None:
    """Of those that wait for this service and nothing else; the others sleep on."""
    connection = await store.connect()
    await asleep(store, 1, "charge#1")
    await asleep(store, 2, "service mail")
    for n in range(3, 6):
        await asleep(store, n, "service psp")
    await services.change(connection, SCHEMA, "psp", services.moved(opened))
    (row,) = await services.every(connection, SCHEMA)
    assert row.waiting

    def canary(circuit: Circuit, now: datetime) -> Circuit:
        return breaker.looked(circuit, now + COOL_DOWN, waiting=True)

    await services.change(connection, SCHEMA, "psp", services.moved(canary))
    assert (await statuses(store)).count("ready") == 1
    await services.change(connection, SCHEMA, "psp", services.moved(breaker.closed))
    assert (await statuses(store)).count("ready") == 3
    (row,) = await services.every(connection, SCHEMA)
    assert not row.waiting
    assert row.circuit.wave == RELEASED_FIRST


async def hold(connection: Connection, because: str | None) -> ServiceRow:
    def held(row: ServiceRow) -> ServiceRow:
        circuit = breaker.held(row.circuit)
        return replace(row, circuit=circuit, held_by="ann", held_because=because, held_at=row.now)

    return await services.change(connection, SCHEMA, "psp", held)


async def test_a_hold_is_kept_with_who_and_why(store: Store) -> None:
    """And without a reason it is refused by the database itself."""
    connection = await store.connect()
    await hold(connection, "they migrate")
    (row,) = await services.every(connection, SCHEMA)
    assert (row.circuit.held, row.held_by, row.held_because) == (True, "ann", "they migrate")
    with pytest.raises(Exception, match="hold_has_a_reason"):
        await hold(connection, None)

"""What was acknowledged is durable: through the death of Postgres, and on the replica where one is demanded."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest

from saga.dev import embedded
from saga.store import migrate
from saga.store.changes import Written
from tests.support.lanes import (
    Hand,
    add_sagas,
    hired,
    intent,
    one,
    own,
    rows,
    seen,
    unit,
    until,
    witnesses,
)

Eye = psycopg.AsyncConnection[Any]
Answer = asyncio.Future[list[Written]]
WAITING_FOR_REPLICA = "SELECT coalesce(min(pid), 0) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = 'saga'"


class Bank:
    """Lanes that write one intent and one observation a saga, and what was acknowledged so far."""

    def __init__(self, hands: list[Hand], ids: list[UUID]) -> None:
        self._hands = hands
        self._ids = ids
        self.acknowledged: dict[UUID, Written] = {}
        self._more = asyncio.Event()

    async def run(self) -> None:
        """All sagas, a few at a time in each lane."""
        await asyncio.gather(*(self._lane(n, hand) for n, hand in enumerate(self._hands)))

    async def _lane(self, number: int, hand: Hand) -> None:
        mine = self._ids[number :: len(self._hands)]
        for start in range(0, len(mine), 5):
            part = mine[start : start + 5]
            for saga_id, written in zip(
                part, await hand.write(*(unit(i, intent(), seen()) for i in part)), strict=True
            ):
                self.acknowledged[saga_id] = written
            self._more.set()

    async def reached(self, count: int) -> None:
        """Until so many are acknowledged."""
        while len(self.acknowledged) < count:
            self._more.clear()
            await self._more.wait()


async def test_postgres_killed_under_load_loses_nothing_that_was_acknowledged(
    durable_server: embedded.Server, durable_database_url: str
) -> None:
    """Two kill -9 and two restarts in the middle of commits: every acknowledged unit is there, and there once."""
    server = durable_server
    async with hired(durable_database_url, lanes=2) as hands:
        async with witnesses(durable_database_url, 1) as (eye,):
            ids = await add_sagas(eye, 600)
            for number, hand in enumerate(hands):
                await own(eye, ids[number :: len(hands)], hand.lane)
        bank = Bank(hands, ids)
        working = asyncio.create_task(bank.run())
        for acknowledged in (150, 350):
            await bank.reached(acknowledged)
            await asyncio.to_thread(server.kill)
            before = set(bank.acknowledged)
            server = await asyncio.to_thread(embedded.start, server.directory)
            async with witnesses(durable_database_url, 1) as (eye,):
                assert before <= {row[0] for row in await rows(eye, "SELECT saga_id FROM saga.effect")}
        await working
        assert all(w.held and w.intents for w in bank.acknowledged.values())
        async with witnesses(durable_database_url, 1) as (eye,):
            assert await one(eye, "SELECT count(*) FROM saga.effect WHERE attempt = 1") == len(ids)
            assert await rows(eye, "SELECT saga_id FROM saga.evidence GROUP BY 1 HAVING count(*) > 1") == []
            assert await one(eye, "SELECT count(*) FROM saga.evidence") == len(ids)


@pytest.fixture(scope="module")
def own_database_url() -> Iterator[str]:
    """A server of these tests alone, whose settings they may change; what it loses in a crash does not matter."""
    with embedded.temporary(settings={"fsync": "off"}) as server:
        migrate.upgrade(server.url, "saga")
        yield server.url


@pytest.fixture
async def replicated(own_database_url: str) -> AsyncIterator[tuple[Eye, Hand, UUID, Answer]]:
    """A server that waits for a replica which does not exist, and a unit whose COMMIT waits for it."""
    async with witnesses(own_database_url, 1) as (eye,), hired(own_database_url) as (hand,):
        ids = await add_sagas(eye, 50)
        await own(eye, ids, hand.lane)
        await demand_replica(eye, "nobody")
        try:
            yield eye, hand, *await first_that_waits(eye, hand, ids)
        finally:
            await demand_replica(eye, "")


async def first_that_waits(eye: Eye, hand: Hand, ids: list[UUID]) -> tuple[UUID, Answer]:
    """A server takes its time to learn of the demand: some units may still be committed without the replica."""
    for saga_id in ids:
        answer = hand.write(unit(saga_id, intent()))
        while not answer.done():
            if await one(eye, WAITING_FOR_REPLICA):
                return saga_id, answer
    raise AssertionError("no commit waits for the replica")


async def demand_replica(eye: Eye, name: str) -> None:
    await eye.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'".encode())
    await eye.execute("SELECT pg_reload_conf()")

    async def known() -> bool:
        found: bool = await one(eye, "SELECT current_setting('synchronous_standby_names') = %s", name)
        return found

    await until(known, "the setting is loaded")


async def waiting(eye: Eye, but: int = 0) -> int:
    """The backend whose COMMIT waits for the replica; another one than `but`."""
    found = 0

    async def seen() -> bool:
        nonlocal found
        found = await one(eye, WAITING_FOR_REPLICA)
        return found not in (0, but)

    await until(seen, "a commit waits for the replica")
    return found


async def cancelled(eye: Eye, backend: int) -> None:
    """Cancel the wait, until the server has done so: it warns, and says that it committed."""
    commits = "SELECT pg_current_wal_insert_lsn()"
    before = await one(eye, commits)
    await eye.execute("SELECT pg_cancel_backend(%s)", (backend,))

    async def goes_on() -> bool:
        found: bool = await one(eye, "SELECT pg_current_wal_insert_lsn() > %s", before)
        return found

    await until(goes_on, "the journal writes again")
    assert await waiting(eye) == backend


Replicated = tuple[Eye, Hand, UUID, Answer]


async def test_s6_a_commit_that_the_replica_did_not_confirm_is_not_acknowledged(
    replicated: Replicated,
) -> None:
    """A cancelled wait answers COMMIT with a mere WARNING: the unit waits for a later commit that came without one."""
    eye, hand, saga_id, answer = replicated
    commits = hand.journal.commits
    backend = await waiting(eye)
    for _ in range(3):
        await cancelled(eye, backend)
        assert await one(eye, "SELECT count(*) FROM saga.effect WHERE saga_id = %s", saga_id), (
            "committed here"
        )
        assert not answer.done(), "and not acknowledged"
    await demand_replica(eye, "")
    (written,) = await answer
    assert written.intents
    assert hand.journal.commits == commits + 1


async def test_s6_recovery_does_not_vouch_for_the_replica(replicated: Replicated) -> None:
    """The session ends in the wait and the batch is found here: its own commit must be confirmed, too."""
    eye, _, saga_id, answer = replicated
    first = await waiting(eye)
    await eye.execute("SELECT pg_terminate_backend(%s)", (first,))
    second = await waiting(eye, but=first)
    await cancelled(eye, second)
    assert not answer.done()
    await demand_replica(eye, "")
    (written,) = await answer
    assert written.intents
    assert await one(eye, "SELECT count(*) FROM saga.effect WHERE saga_id = %s", saga_id) == 1

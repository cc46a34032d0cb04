"""What an operator sees: a saga is found and never guessed, lists filter, and nobody is left wondering."""

from collections.abc import AsyncGenerator

import psycopg
import pytest

from saga import Engine
from saga.errors import NotFoundError
from saga.operator import Ambiguous, Operator, Query
from saga.store import queries, stuck
from tests.support import desk_sagas, rows
from tests.support.desk_sagas import faxing, paying
from tests.support.working import working


@pytest.fixture
async def desk(database_url: str) -> AsyncGenerator[Operator]:
    """A desk in an office without any worker."""
    desk_sagas.forget()
    async with Engine(database_url, sagas=desk_sagas.SAGAS) as engine:
        yield engine.operator("ann")


async def test_a_saga_is_found_by_id_beginning_of_it_and_key_and_never_guessed(desk: Operator) -> None:
    """What means several sagas is an error that lists them."""
    engine = desk._engine
    first = await engine.start(paying, "a", key="order:7")
    await engine.start(faxing, "a", key="order:7")
    with pytest.raises(Ambiguous, match=str(first.id)):
        await desk.find("order:7")
    assert (await desk.find("paying/order:7")).id == first.id
    assert (await desk.find(str(first.id))).id == first.id
    assert (await desk.find(str(first.id)[:30])).id == first.id
    with pytest.raises(NotFoundError, match="saga list"):
        await desk.find("order:8")


async def test_lists_and_counts_filter(desk: Operator) -> None:
    """What has ended is listed on demand; a step means that the saga stands there."""
    engine = desk._engine
    async with working(engine.url, *desk_sagas.SAGAS) as shop:
        await shop.parked(faxing, "f", key="f")
        await shop.run(paying, "p", key="p")
    assert [s.key for s in await desk.list()] == ["f"]
    assert {s.key for s in await desk.list(Query(every=True))} == {"f", "p"}
    assert [s.key for s in await desk.list(Query(step="fax"))] == ["f"]
    assert await desk.list(Query(step="charge")) == []
    assert [s.key for s in await desk.list(Query(service="dark"))] == ["f"]
    assert [(g.what, g.count) for g in await desk.group(Query(every=True), "name")] == [
        ("faxing v1", 1),
        ("paying v1", 1),
    ]
    assert [g.what for g in await desk.group(Query(), "step")] == ["fax"]
    assert [g.what for g in await desk.group(Query(), "service")] == ["dark"]


async def test_what_no_worker_serves_is_found(desk: Operator) -> None:
    """A saga without a worker is no mystery."""
    engine = desk._engine
    assert (await desk.stuck()).findings == ()
    await engine.start(paying, "a", key="a")
    (finding,) = (await desk.stuck()).findings
    assert (finding.kind, finding.needs_person, finding.count) == ("not_served", False, 1)
    assert "no worker serves paying v1" in (await desk.why("a")).sentence


async def test_a_long_past_costs_nothing(desk: Operator) -> None:
    """What has not ended is read by the partial indexes: the plan of no such question walks through the table."""
    url = desk._engine.url
    rows.execute(
        url,
        "INSERT INTO saga.saga (id, name, version, key, status, input, input_hash, finished_at)"
        " SELECT gen_random_uuid(), 'old' || mod(n, 3), 1, 'k' || n, 'completed', '1', 'h', now()"
        " FROM generate_series(1, 20000) n",
    )
    rows.execute(url, "ANALYZE saga.saga")
    values = {**Query().parameters(), "by": "name", "key": "k7", "late": stuck.OVERDUE}
    questions = (stuck.PARKED, stuck.ALARMS, stuck.WAITING, stuck.ORPHANS, stuck.DOUBTED)
    for statement in (*questions, queries.OPEN, queries.GROUP_OPEN, queries.BY_KEY):
        with psycopg.connect(url) as connection:
            text = f"EXPLAIN {statement.on('saga')}".encode()
            plan = "\n".join(row[0] for row in connection.execute(text, values))
        assert "Seq Scan on saga" not in plan, f"{statement.name}\n{plan}"
    assert [s.name for s in await desk.list(Query(every=True, limit=3))] != []

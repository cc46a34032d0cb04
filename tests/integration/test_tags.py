"""Tags: what a saga is found by, among however many that have ended; given once, by its first start."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import psycopg
import pytest

from saga import Engine, InputError, Unstorable
from saga.operator import Operator, Query
from saga.store import queries
from saga.store.urls import conninfo
from saga_worker import Worker
from tests.support import rows
from tests.support.checkout import checkout, ledger
from tests.support.shell import Shell

ACME = {"tenant": "acme", "region": "eu"}
ENDED = 20_000
FILL = (
    "WITH made AS (INSERT INTO saga.saga (id, name, version, key, status, input, input_hash, finished_at)"
    " SELECT gen_random_uuid(), 'checkout', 1, 'old-' || n, 'completed', '1', 'h', now() FROM generate_series(1, %s) n"
    " RETURNING id) INSERT INTO saga.tag (saga_id, name, value) SELECT id, 'tenant', 'acme' FROM made"
)


@pytest.fixture
async def engine(database_url: str) -> AsyncGenerator[Engine]:
    ledger.clear()
    async with Engine(database_url, sagas=[checkout]) as made:
        yield made


@pytest.fixture
def desk(engine: Engine) -> Operator:
    return engine.operator("ann")


def kept(url: str) -> list[tuple[str, str, str]]:
    """Key, name and value of every tag."""
    query = "SELECT s.key, t.name, t.value FROM saga.tag t JOIN saga.saga s ON s.id = t.saga_id ORDER BY 1, 2"
    return [(row["key"], row["name"], row["value"]) for row in rows.select(url, query)]


async def keys(desk: Operator, *, every: bool = False, **tags: str) -> list[str]:
    return [line.key for line in await desk.list(Query(tags=tags, every=every))]


async def test_sagas_are_found_by_all_the_tags_that_are_asked_for(engine: Engine, desk: Operator) -> None:
    """Newest first; those that have not ended, or all of them; groups count the same."""
    await engine.start(checkout, "a", key="k1", tags=ACME)
    await engine.start_many(checkout, [("k2", "b"), ("k3", "c")], tags={"tenant": "acme", "region": "us"})
    await engine.start(checkout, "d", key="k4")
    await engine.start(checkout, "e", key="k5", tags={"tenant": "acme"}, after="2h")
    assert await keys(desk, tenant="acme") == ["k5", "k3", "k2", "k1"]
    assert await keys(desk, tenant="acme", region="us") == ["k3", "k2"]
    assert await keys(desk, tenant="acme", region="asia") == []
    assert await keys(desk, tenant="eu") == []
    assert len(await desk.list()) == 5
    groups = await desk.group(Query(tags={"region": "us"}), "name")
    assert [(one.what, one.count) for one in groups] == [("checkout v1", 2)]
    rows.execute(
        engine.url, "UPDATE saga.saga SET status = 'completed', finished_at = now() WHERE key <> 'k1'"
    )
    assert await keys(desk, tenant="acme") == ["k1"]
    assert await keys(desk, tenant="acme", every=True) == ["k5", "k3", "k2", "k1"]
    assert await keys(desk, region="us", tenant="acme", every=True) == ["k3", "k2"]
    assert (await desk.show("k1")).saga.tags == ACME


async def test_the_first_start_decides(engine: Engine) -> None:
    """The same key is the same saga, whatever tags another start brings; nothing is tagged twice."""
    await engine.start(checkout, "a", key="k", tags={"tenant": "acme"})
    await engine.start(checkout, "a", key="k", tags={"tenant": "other", "more": "x"})
    await engine.start(checkout, "a", key="k")
    await engine.start_many(checkout, [("k", "a"), ("new", "b"), ("new", "b")], tags={"tenant": "third"})
    assert kept(engine.url) == [("k", "tenant", "acme"), ("new", "tenant", "third")]


async def test_starters_at_once_leave_the_tags_of_one(engine: Engine) -> None:
    """Those of whose row it is."""
    await asyncio.gather(*(engine.start(checkout, "a", key="k", tags={"n": str(n)}) for n in range(20)))
    assert len(kept(engine.url)) == 1


async def test_tags_appear_and_go_with_the_callers_transaction(engine: Engine) -> None:
    """As the saga does."""
    async with await psycopg.AsyncConnection.connect(conninfo(engine.url)) as within:
        await engine.start(checkout, "a", key="k", within=within, tags=ACME)
        await within.rollback()
        assert kept(engine.url) == []
        await engine.start(checkout, "a", key="k", within=within, tags=ACME)
        await within.commit()
    assert kept(engine.url) == [("k", "region", "eu"), ("k", "tenant", "acme")]


async def test_odd_texts_are_kept_as_they_are(engine: Engine, desk: Operator) -> None:
    """Quotes, braces, line ends and what looks like JSON; the longest that may be."""
    odd = {'a "b" {c}': "x=y, 'z'\n\\", "null": "null", "n" * 50: "ü" * 200, "empty": ""}
    await engine.start(checkout, "a", key="k", tags=odd)
    assert (await desk.find("k")).tags == odd
    for name, value in odd.items():
        assert [line.key for line in await desk.list(Query(tags={name: value}))] == ["k"]


@pytest.mark.parametrize(
    ("tags", "says"),
    [
        ({str(n): "x" for n in range(17)}, "at most 16 tags, this one 17"),
        ({"": "x"}, "1 to 50 characters"),
        ({"n" * 51: "x"}, "1 to 50 characters"),
        ({"a=b": "x"}, "no '='"),
        ({"a": "x" * 201}, "201 characters, 200 is the most"),
        ({"a": 7}, "not two texts"),
        ({7: "a"}, "not two texts"),
        ({"a": "\x00"}, "NUL"),
        ({"a": "\ud800"}, "surrogate"),
    ],
)
async def test_tags_that_cannot_be_kept_are_refused(engine: Engine, tags: dict[str, str], says: str) -> None:
    """With a sentence, and no row is written."""
    with pytest.raises((InputError, Unstorable), match=says):
        await engine.start(checkout, "a", key="k", tags=tags)
    with pytest.raises((InputError, Unstorable), match=says):
        await engine.start_many(checkout, [("k", "a")], tags=tags)
    assert rows.select(engine.url, "SELECT 1 FROM saga.saga") == []


async def test_a_worker_does_not_touch_them(engine: Engine) -> None:
    """They are written once: no version of the saga's row makes their entries anew, and no tag means no row."""
    query = "SELECT ctid::text, xmin::text FROM saga.tag"
    handle = await engine.start(checkout, "a", key="k", tags=ACME)
    before = rows.select(engine.url, query)
    async with Worker(engine, lease="3s"):
        await handle.result("20s")
        await (await engine.start(checkout, "b", key="plain")).result("20s")
    assert rows.select(engine.url, query) == before


async def test_a_purge_takes_the_tags(engine: Engine, desk: Operator) -> None:
    """They may name a person."""
    async with Worker(engine, lease="3s"):
        await (await engine.start(checkout, "a", key="k", tags=ACME)).result("20s")
    assert await desk.retention.purge("0s", because="a test") == 1
    assert kept(engine.url) == []


@pytest.mark.parametrize("analyzed", [False, True])
def test_the_newest_of_many_ended_are_read_off_the_index(database_url: str, analyzed: bool) -> None:
    """Twenty thousand of one tag have ended: a page of them costs some hundred pages, with statistics or without."""
    with psycopg.connect(database_url) as connection:
        connection.execute(FILL, (ENDED,))
        if analyzed:
            connection.execute("ANALYZE")
        for statement, every in ((queries.EVERY_TAGGED, True), (queries.OPEN, False)):
            values = Query(tags={"tenant": "acme"}, every=every).parameters()
            explain = b"EXPLAIN (ANALYZE, BUFFERS) " + statement.on("saga").encode()
            plan = [line for (line,) in connection.execute(explain, values).fetchall()]
            whole = next(line for line in plan if "Buffers:" in line)
            pages = sum(int(word.partition("=")[2]) for word in whole.split() if "=" in word)
            assert pages < ENDED // 25, "\n".join(plan)


async def test_the_command_line_starts_lists_shows_and_acts_by_tags(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """--tag NAME=VALUE, as often as there are tags."""
    shell = Shell(database_url, capsys)

    def play() -> None:
        app = ("--app", "tests.support.desk_sagas:engine")
        shell("start", "paying", '"a"', "--key", "k1", "--tag", "tenant=acme", "--tag", "note=a=b", *app)
        shell("start", "paying", '"b"', "--key", "k2", "--tag", "tenant=other", *app)
        listed = shell("list", "--tag", "tenant=acme", "--tag", "note=a=b", "-o", "json").data["sagas"]
        assert [(one["key"], one["tags"]) for one in listed] == [("k1", {"note": "a=b", "tenant": "acme"})]
        assert "tags note=a=b, tenant=acme" in shell("show", "k1").out
        counted = shell("list", "--tag", "tenant=acme", "--group-by", "name", "-o", "json").data["groups"]
        assert [one["sagas"] for one in counted] == [1]
        acted = shell("cancel", "--tag", "tenant=other", "--because", "they left", "--yes", "-o", "json").data
        assert [one["key"] for one in acted["acts"]] == ["k2"]
        for wrong, says in (("tenant", "write NAME=VALUE"), ("=x", "write NAME=VALUE")):
            said = shell("list", "--tag", wrong)
            assert (said.code, says in said.last) == (2, True)
        assert "a name comes twice" in shell("list", "--tag", "a=1", "--tag", "a=2").last

    await asyncio.to_thread(play)

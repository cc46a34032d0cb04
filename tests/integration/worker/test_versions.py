"""Several versions of one definition, served at once: what was started under one ends under it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from saga import Engine, KeyConflict, NotFoundError, SagaError
from saga.store import migrate
from saga_worker import Worker
from tests.support import rows
from tests.support.fakes import Gate
from tests.support.shell import Shell
from tests.support.versions import first, ledger, second, third
from tests.support.working import working

APP = "tests.support.versions:engine"


@pytest.fixture(autouse=True)
def empty_ledger() -> None:
    ledger.clear()


@pytest.fixture
async def engine(database_url: str) -> AsyncGenerator[Engine]:
    """Both versions, and no worker."""
    async with Engine(database_url, sagas=[first, second]) as made:
        yield made


async def test_a_started_saga_goes_on_under_its_version_while_another_starts(database_url: str) -> None:
    """One worker, two versions: the new one overtakes the old one in its middle, and each makes its own calls."""
    gate = Gate()
    ledger.plan("charge", gate)
    async with working(database_url, first, second) as w:
        old = await w.engine.start(first, "a", key="old")
        await gate.reached.wait()
        assert await w.run(second, "b", key="new") == "new b done"
        gate.open.set()
        assert await old.result("10s") == "a done"
    assert [step for step, _ in rows.effects_of(database_url, "old")] == [
        "reserve#1",
        "charge#1",
        "confirm#1",
    ]
    assert [step for step, _ in rows.effects_of(database_url, "new")] == ["confirm#1", "charge#1"]
    assert rows.saga_of(database_url, "old")["version"] == 1
    assert rows.saga_of(database_url, "new")["version"] == 2


async def test_a_version_that_nobody_serves_waits_visibly(engine: Engine) -> None:
    """A worker without the version leaves it alone; `stuck` and `why` name it, who serves what, and what to do."""
    desk = engine.operator("ann")
    old = await engine.start(first, "a", key="old")
    async with working(engine.url, second) as w:
        assert await w.run(second, "b", key="new") == "new b done"
        (finding,) = (await desk.stuck()).findings
        assert finding.cause == "no worker serves checkout v1 (workers serve checkout v2)"
        assert finding.command == "saga worker run MODULE:ENGINE, with checkout v1 in its sagas=[…]"
        assert (finding.kind, finding.needs_person, finding.example) == ("not_served", False, "old")
        why = (await desk.why("old")).sentence
        assert "no worker serves checkout v1 (workers serve checkout v2), start one with" in why
        assert "whose engine has checkout v1 in its sagas=[…]: it takes it next" in why
        assert rows.saga_of(engine.url, "old")["epoch"] == 0
        async with Worker(engine, lease="3s"):
            assert await old.result("10s") == "a done"
        assert (await desk.stuck()).findings == ()


async def test_a_saga_whose_last_worker_of_its_version_died_waits_visibly(engine: Engine) -> None:
    """Taken over by nobody: the workers of another version give it back, and leave it alone."""
    gate = Gate()
    ledger.plan("charge", gate)
    async with Worker(engine, lease="3s", drain_within="10ms"):
        await engine.start(first, "a", key="old")
        await gate.reached.wait()
        await rows.change(engine.url, "DELETE FROM saga.worker")  # declared dead
        async with working(engine.url, second):
            await rows.until(engine.url, "old", "status = 'ready'")
            why = (await engine.operator("ann").why("old")).sentence
    assert "no worker serves checkout v1 (workers serve checkout v2), start one with" in why
    async with working(engine.url, first) as w:
        assert await w.engine.handle(first, key="old").result("10s") == "a done"
    assert set(ledger.landed.values()) == {1}


async def test_start_takes_the_version_it_is_given(engine: Engine) -> None:
    """The definition's own version; by its name alone, the highest; one that the engine has not is refused with those it has."""
    await engine.start(first, "a", key="1")
    await engine.start_many(first, [("2", "a")])
    await engine.start(engine.definition("checkout"), "a", key="3")
    await engine.start(engine.definition("checkout", 1), "a", key="4")
    assert [rows.saga_of(engine.url, key)["version"] for key in "1234"] == [1, 1, 2, 1]
    with pytest.raises(
        NotFoundError, match=r"no version 3 of saga checkout in this engine; its versions are \[1, 2\]"
    ):
        await engine.start(third, "a", key="5")
    assert rows.select(engine.url, "SELECT 1 FROM saga.saga WHERE key = '5'") == []


def test_the_command_line_starts_the_highest_version_or_the_one_that_is_named(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`saga start NAME` and `--version N`; the answer says which version the saga has, whoever started it."""
    shell = Shell(database_url, capsys)
    start = ("start", "checkout", '"a"', "--app", APP, "-o", "json")
    assert shell(*start, "--key", "new").data["version"] == 2
    assert shell(*start, "--key", "old", "--version", "1").data["version"] == 1
    assert shell(*start, "--key", "old").data["version"] == 1
    unknown = shell(*start, "--key", "x", "--version", "7")
    assert (unknown.code, "its versions are [1, 2]" in unknown.last) == (3, True)


async def test_a_business_key_is_one_saga_over_all_versions(engine: Engine) -> None:
    """The same key under a new version is the saga that was started, and ends under its old one; another input conflicts."""
    old = await engine.start(first, "a", key="k")
    again = await engine.start(second, "a", key="k")
    assert again.id == old.id
    with pytest.raises(KeyConflict):
        await engine.start(second, "b", key="k")
    async with Worker(engine, lease="3s"):
        assert await again.result("10s") == "a done"
    assert rows.saga_of(engine.url, "k")["version"] == 1
    assert ledger.names() == ["reserve", "charge", "confirm"]


async def test_starters_of_two_versions_at_once_make_one_saga(engine: Engine) -> None:
    """A shop in the middle of its deploy starts one order through old and new code: one row, of one version."""
    starts = (engine.start((first, second)[n % 2], "a", key="k") for n in range(20))
    assert len({handle.id for handle in await asyncio.gather(*starts)}) == 1
    async with Worker(engine, lease="3s"):
        await engine.handle(first, key="k").result("10s")
    assert max(ledger.landed.values()) == 1


async def test_an_output_of_another_version_that_does_not_fit_is_said(database_url: str) -> None:
    """A new version's handle on an old saga tells under which version it completed, and how to ask."""
    async with working(database_url, first, third) as w:
        await w.run(first, "a", key="k")
        newer = await w.engine.start(third, "a", key="k")
        assert (await newer.view()).status == "confirmed"
        with pytest.raises(
            SagaError, match="completed under version 1 of checkout, and its output does not fit version 3"
        ):
            await newer.result("10s")
        assert await w.engine.handle(first, key="k").result("10s") == "a done"


async def test_idempotency_keys_do_not_hang_on_the_version(
    database_url: str, empty_database_url: str
) -> None:
    """A step of one saga, business key and identity has one key at its service, under whichever version it runs."""
    migrate.upgrade(empty_database_url, "saga")
    async with Engine(database_url, sagas=[first], secret="s") as one, Worker(one, lease="3s"):
        await (await one.start(first, "a", key="k")).result("10s")
    async with Engine(empty_database_url, sagas=[second], secret="s") as two, Worker(two, lease="3s"):
        await (await two.start(second, "a", key="k")).result("10s")
    old, new = rows.effects_of(database_url, "k"), rows.effects_of(empty_database_url, "k")
    assert old["charge#1", "forward"]["key"] == new["charge#1", "forward"]["key"]

"""A read that cannot be had gives what it returned last: typed, recorded with its age, the same on every replay."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from saga import Call, NotExecuted, Refused, Retry, SagaDefinition, Service, saga, step
from saga.cli.timeline import timeline
from saga.dev.processes import wait_until
from tests.support import rows
from tests.support.fakes import Gate, Ledger, away, lose_reply, make_step, refuse
from tests.support.working import working

maps = Service("maps")
ledger = Ledger()
ship = make_step(ledger, "ship")
look = make_step(ledger, "look", probe=False, undo=False, reads=True, retry=Retry(attempts=1))


@dataclass(frozen=True)
class Place:
    """Where somebody is."""

    street: str
    number: int


class Map:
    """The service: what it answers next, a place or an exception; and by which arguments it was asked."""

    def __init__(self) -> None:
        self.answer: Place | Exception = Place("High Street", 1)
        self.asked: list[tuple[str, int]] = []

    def __call__(self, driver: str, zoom: int) -> Place:
        self.asked.append((driver, zoom))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


COUNT_STATEMENTS = """
CREATE TABLE written (at timestamptz DEFAULT now());
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO written DEFAULT VALUES; RETURN NULL; END $$;
CREATE TRIGGER note AFTER INSERT ON saga.last_good FOR EACH STATEMENT EXECUTE FUNCTION note();
"""
the_map = Map()
AWAY = NotExecuted("the map is away")


@step(maps, timeout="1s", reads=True, retry=Retry(attempts=2, first="1ms", most="2ms"))
async def locate(call: Call, driver: str, zoom: int = 1) -> Place:
    return the_map(driver, zoom)


@step(maps, timeout="1s", reads=True, retry=Retry(attempts=1), name="locate")
async def locate_otherwise(call: Call, driver: str, zoom: int = 1) -> int:
    the_map(driver, zoom)
    return 1


@saga("ride")
async def ride(driver: str) -> Place:
    return await locate(driver).last_good(max_age="1h")


@saga("ride_by_key")
async def ride_by_key(driver: str) -> Place:
    return await locate(driver, len(driver)).last_good(max_age="1h", key="the driver")


@saga("ride_or_else")
async def ride_or_else(driver: str) -> Place:
    return await locate(driver).last_good(max_age="1h").or_else(lambda: Place("unknown", 0))


@saga("ride_plainly")
async def ride_plainly(driver: str) -> Place:
    return await locate(driver)


@saga("ride_and_ship")
async def ride_and_ship(driver: str) -> Place:
    place = await locate(driver).last_good(max_age="1h")
    await ship(f"to {place.street}")
    return place


@saga("ride", steps=[locate_otherwise])
async def ride_with_another_type(driver: str) -> int:
    return await locate_otherwise(driver).last_good(max_age="1h")


@saga("hurried")
async def hurried(order: str) -> str:
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(look(order).last_good(max_age="1h"))
            group.create_task(ship(order))
    except* Refused:
        pass
    return "went on"


@saga("ship_what_was_shipped")
async def ship_what_was_shipped(order: str) -> str:
    return await ship(order).last_good(max_age="1h")


@pytest.fixture(autouse=True)
def all_is_well() -> None:
    ledger.clear()
    the_map.__init__()  # type: ignore[misc]


def status_of(url: str, step: str) -> str | None:
    found = rows.effects_of(url, "k").get((step, "forward"))
    return None if found is None else str(found["status"])


def kept(url: str) -> list[rows.Row]:
    return rows.select(url, "SELECT * FROM saga.last_good ORDER BY hash")


async def until(happened: Callable[[], bool], what: str) -> None:
    await asyncio.to_thread(wait_until, happened, 15, what)


async def keep(url: str, definition: SagaDefinition[Any, Any] = ride, value: str = "ann") -> None:
    """One saga that goes well, and the value that it leaves."""
    before = len(kept(url))
    async with working(url, definition) as w:
        await w.run(definition, value, key="before")
        await until(lambda: len(kept(url)) > before, "a value is kept")


async def test_the_last_good_value_takes_the_place_of_a_read_that_could_not_be_had(database_url: str) -> None:
    """Another worker's value, by the same arguments; the view names the step, the reason and the age."""
    await keep(database_url)
    the_map.answer = AWAY
    async with working(database_url, ride) as w:
        handle = await w.engine.start(ride, "ann", key="k")
        assert await handle.result("10s") == Place("High Street", 1)
        view = await handle.view()
    (degraded,) = view.degraded
    assert (view.status, degraded.step, degraded.reason) == ("confirmed", "locate#1", "the map is away")
    assert degraded.age is not None
    assert timedelta(0) < degraded.age < timedelta(minutes=1)
    (effect,) = rows.effects_of(database_url, "k").values()
    assert (effect["status"], effect["attempt"], effect["result"]) == ("not_executed", 2, None)
    assert effect["error"]["last_good"]["value"] == {"street": "High Street", "number": 1}
    assert effect["error"]["last_good"]["age"] == degraded.age.total_seconds()


async def test_an_unknown_outcome_of_a_read_is_no_other_case(database_url: str) -> None:
    """A read that timed out has changed nothing: it could not be had."""
    await keep(database_url)
    the_map.answer = TimeoutError("no answer")
    async with working(database_url, ride) as w:
        assert await w.run(ride, "ann") == Place("High Street", 1)


async def test_a_worker_has_its_own_value_at_once(database_url: str) -> None:
    """Also before it is written: the newest is the one that was returned last."""
    async with working(database_url, ride) as w:
        for number in range(3):
            the_map.answer = Place("High Street", number)
            await w.run(ride, "ann", key=f"before-{number}")
        the_map.answer = AWAY
        assert await w.run(ride, "ann") == Place("High Street", 2)


async def test_without_one_the_failure_stays_what_it_was(database_url: str) -> None:
    """Nothing was kept by these arguments: the saga is told, and may fall back by itself."""
    await keep(database_url)
    the_map.answer = AWAY
    async with working(database_url, ride, ride_or_else) as w:
        assert await w.ended(ride, "bob") == "try_again"
        handle = await w.engine.start(ride_or_else, "bob", key="k")
        assert await handle.result("10s") == Place("unknown", 0)
        (degraded,) = (await handle.view()).degraded
    assert (degraded.reason, degraded.age) == ("the map is away", None)


async def test_a_value_that_is_too_old_is_none(database_url: str) -> None:
    """By the database's clock; and one that is older than anybody wanted it is swept away by whoever keeps the next."""
    await keep(database_url)
    aged = "UPDATE saga.last_good SET at = now() - interval '2 hours', until = now() - interval '1 hour'"
    await rows.change(database_url, aged)
    the_map.answer = AWAY
    async with working(database_url, ride) as w:
        assert await w.ended(ride, "ann") == "try_again"
    the_map.answer = Place("Low Street", 2)
    async with working(database_url, ride) as w:
        await w.run(ride, "bob", key="bob")
        await until(
            lambda: [v["value"]["number"] for v in kept(database_url)] == [2], "the old one is swept away"
        )


async def test_a_key_says_what_the_value_belongs_to(database_url: str) -> None:
    """With `key=` the arguments may differ; and it is no arguments' value."""
    await keep(database_url, ride_by_key)
    the_map.answer = AWAY
    async with working(database_url, ride_by_key, ride) as w:
        assert await w.run(ride_by_key, "barbara") == Place("High Street", 1)
        assert await w.ended(ride, "ann", key="other") == "try_again"
    assert the_map.asked[0] != the_map.asked[1]


async def test_a_refusal_is_an_answer(database_url: str) -> None:
    """There is no such driver: an old place would hide it."""
    await keep(database_url)
    the_map.answer = Refused("unknown_driver")
    async with working(database_url, ride) as w:
        assert await w.ended(ride, "ann") == "declined"


async def test_a_replay_gives_the_value_that_was_used(database_url: str) -> None:
    """It is recorded with the failure, before the next step begins: whatever is kept meanwhile, nothing changes."""
    await keep(database_url, ride_and_ship)
    the_map.answer = AWAY
    gate = Gate(lose_reply)
    ledger.plan("ship", gate)
    async with working(database_url, ride_and_ship, drain_within="10ms") as w:
        await w.engine.start(ride_and_ship, "ann", key="k")
        await gate.reached.wait()
        recorded = await asyncio.to_thread(rows.effects_of, database_url, "k")
        assert recorded["locate#1", "forward"]["error"]["last_good"]["value"]["number"] == 1
    newer = json.dumps({"street": "Low Street", "number": 2})
    await rows.change(database_url, "UPDATE saga.last_good SET value = %s", newer)
    async with working(database_url, ride_and_ship) as w:
        handle = w.engine.handle(ride_and_ship, key="k")
        assert await handle.result("20s") == Place("High Street", 1)
        (degraded,) = (await handle.view()).degraded
    recorded = rows.effects_of(database_url, "k")
    assert recorded["ship#1", "forward"]["status"] == "succeeded"
    assert degraded.age == timedelta(seconds=recorded["locate#1", "forward"]["error"]["last_good"]["age"])


async def test_nothing_is_looked_for_that_nobody_waits_for(database_url: str) -> None:
    """A sibling was refused meanwhile, and the read was given up: the saga did not do without anything."""
    await keep(database_url, hurried)
    gate = Gate(away)
    ledger.plan("look", gate)
    ledger.plan("ship", refuse)
    async with working(database_url, hurried) as w:
        handle = await w.engine.start(hurried, "ann", key="k")
        await gate.reached.wait()
        await until(lambda: status_of(database_url, "ship#1") == "refused", "the sibling is refused")
        gate.open.set()
        assert await handle.result("20s") == "went on"
        assert (await handle.view()).degraded == ()
    recorded = rows.effects_of(database_url, "k")["look#1", "forward"]
    assert (recorded["status"], "last_good" in recorded["error"]) == ("not_executed", False)


async def test_an_operator_is_told_of_the_value(database_url: str) -> None:
    """`saga why` names the step and the age; `saga show` the failure, the age and the value."""
    await keep(database_url)
    the_map.answer = AWAY
    async with working(database_url, ride) as w:
        await w.run(ride, "ann")
        operator = w.engine.operator("ann")
        why = (await operator.why("k")).sentence
        shown = timeline(await operator.show("k"), why, attempts=False, with_input=False)
    assert re.search(
        r"completed .* ago, degraded \(locate#1: a value \S+ old\); the customer sees confirmed", why
    )
    assert re.search(
        r"locate#1 .*not executed   the map is away   last good value, \S+ old: .*High Street", shown
    )


async def test_a_value_of_another_type_is_none(database_url: str) -> None:
    """The step's result has another type since: what was kept is not pressed into it."""
    await keep(database_url)
    the_map.answer = AWAY
    async with working(database_url, ride_with_another_type) as w:
        assert await w.ended(ride_with_another_type, "ann") == "try_again"


async def test_only_what_says_last_good_keeps_anything(database_url: str) -> None:
    """A read that says nothing of it costs no statement and leaves no row."""
    async with working(database_url, ride_plainly) as w:
        await w.run(ride_plainly, "ann")
    assert kept(database_url) == []


async def test_many_sagas_that_read_the_same_share_a_write(database_url: str) -> None:
    """A hundred readers of one value: one row, and a few statements."""
    await rows.change(database_url, COUNT_STATEMENTS)
    async with working(database_url, ride) as w:
        handles = [await w.engine.start(ride, "ann", key=f"k{n}") for n in range(100)]
        for handle in handles:
            await handle.result("20s")
    assert len(kept(database_url)) == 1
    (statements,) = rows.select(database_url, "SELECT count(*) AS n FROM written")
    assert 0 < statements["n"] < 20


async def test_a_step_that_does_something_has_no_last_good_value(database_url: str) -> None:
    """An old result would say that something was done which was not: the saga parks with that sentence."""
    async with working(database_url, ship_what_was_shipped) as w:
        row = await w.parked(ship_what_was_shipped)
    assert row["park_cause"] == "code_failed"
    assert "ship(…).last_good: the step is not reads=True" in row["park_reason"]
    assert ledger.calls == []

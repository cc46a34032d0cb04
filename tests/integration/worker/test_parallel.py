"""Steps in parallel: siblings are settled before anything follows from a failure, and a replay goes the same way."""

from __future__ import annotations

import asyncio

import pytest

from saga import Retry, StepFailed, saga, together
from tests.support import rows
from tests.support.fakes import Gate, Ledger, land, lose_reply, lose_request, make_step, refuse
from tests.support.working import working

ledger = Ledger()
QUICK = Retry(attempts=3, first="1ms", most="2ms")
flight = make_step(ledger, "flight", retry=QUICK)
hotel = make_step(ledger, "hotel", retry=QUICK)
car = make_step(ledger, "car", retry=QUICK)


@pytest.fixture(autouse=True)
def empty_ledger() -> None:
    ledger.clear()


@saga("side_by_side")
async def side_by_side(order: str) -> list[str]:
    return list(await together(flight(order), hotel(order), car(order)))


@saga("grouped")
async def grouped(order: str) -> str:
    async with asyncio.TaskGroup() as group:
        booked = group.create_task(flight(order))
        group.create_task(hotel(order))
    return booked.result()


@saga("branches")
async def branches(order: str) -> list[str]:
    async def branch(name: str) -> str:
        await flight(f"{order}/{name}")
        return await hotel(f"{order}/{name}")

    return list(await asyncio.gather(branch("x"), branch("y"), branch("z")))


async def test_parallel_steps_are_out_at_once(database_url: str) -> None:
    """Three steps in together are all in flight before any of them ends."""
    gates = {name: Gate() for name in ("flight", "hotel", "car")}
    for name, gate in gates.items():
        ledger.plan(name, gate)
    async with working(database_url, side_by_side) as w:
        handle = await w.engine.start(side_by_side, "a", key="k")
        for gate in gates.values():
            await gate.reached.wait()
        for gate in gates.values():
            gate.open.set()
        assert await handle.result("10s") == ["a done"] * 3


async def test_together_settles_siblings_before_it_fails(database_url: str) -> None:
    """One branch is refused, one is in flight, one is in doubt: all settle, and what landed is undone in reverse."""
    gate = Gate()
    ledger.plan("flight", gate)
    ledger.plan("hotel", refuse)
    ledger.plan("car", lose_reply)
    async with working(database_url, side_by_side) as w:
        handle = await w.engine.start(side_by_side, "a", key="k")
        await gate.reached.wait()
        settled = "(SELECT count(*) FROM saga.effect e WHERE e.saga_id = id AND e.completion IS NOT NULL) = 2"
        row = await rows.until(w.url, "k", settled)
        assert row["direction"] == "forward"
        gate.open.set()
        assert (await handle.view(wait="10s")).status == "declined"
    assert ledger.names()[3:] == ["undo_car", "undo_flight"]
    assert ledger.standing() == 0


async def test_a_task_group_gives_up_a_sibling_only_when_it_is_settled(database_url: str) -> None:
    """A refusal makes the sibling unwanted: its call is not aborted, its landing is undone."""
    gate = Gate()
    ledger.plan("flight", refuse)
    ledger.plan("hotel", gate)
    async with working(database_url, grouped) as w:
        handle = await w.engine.start(grouped, "a", key="k")
        await gate.reached.wait()
        await rows.until(w.url, "k", "EXISTS (SELECT 1 FROM saga.effect e WHERE e.status = 'refused')")
        gate.open.set()
        assert (await handle.view(wait="10s")).status == "declined"
    assert ledger.names() in (["flight", "hotel", "undo_hotel"], ["hotel", "flight", "undo_hotel"])
    assert ledger.standing() == 0


async def test_an_unwanted_sibling_in_doubt_is_asked_and_never_resent(database_url: str) -> None:
    """Given up by its group and in doubt: probed to the proof, not sent again, undone if it landed (S15)."""
    gate = Gate(lose_reply)
    ledger.plan("flight", refuse)
    ledger.plan("hotel", gate)
    async with working(database_url, grouped) as w:
        handle = await w.engine.start(grouped, "a", key="k")
        await gate.reached.wait()
        await rows.until(w.url, "k", "EXISTS (SELECT 1 FROM saga.effect e WHERE e.status = 'refused')")
        gate.open.set()
        assert (await handle.view(wait="10s")).status == "declined"
    assert ledger.names().count("hotel") == 1
    assert ledger.asked == ["hotel"]
    assert ledger.standing() == 0


async def test_branches_of_several_steps_have_paths(database_url: str) -> None:
    """Each branch keeps its own numbering, whatever ends first."""
    first = Gate()
    ledger.plan("flight", first, land, lose_reply)
    async with working(database_url, branches) as w:
        handle = await w.engine.start(branches, "a", key="k")
        await rows.until(w.url, "k", "EXISTS (SELECT 1 FROM saga.effect e WHERE e.step = '3/hotel#1')")
        first.open.set()
        assert await handle.result("10s") == ["a/x done", "a/y done", "a/z done"]
    steps = {step for step, _ in rows.effects_of(database_url, "k")}
    assert steps == {f"{n}/{name}#1" for n in (1, 2, 3) for name in ("flight", "hotel")}
    assert ledger.standing() == 6


async def test_parallel_branches_in_doubt_are_taken_up_by_the_next_worker(database_url: str) -> None:
    """A worker that stops with three branches in flight: the next one asks for each, and each landed once."""
    gates = [Gate(lose_reply), Gate(lose_request), Gate()]
    ledger.plan("flight", *gates)
    async with working(database_url, branches, drain_within="10ms") as w:
        await w.engine.start(branches, "a", key="k")
        for gate in gates:
            await gate.reached.wait()
    assert {e["status"] for e in rows.effects_of(database_url, "k").values()} == {"sent"}
    async with working(database_url, branches) as w:
        assert await w.engine.handle(branches, key="k").result("10s") == ["a/x done", "a/y done", "a/z done"]
    assert ledger.standing() == 6
    assert set(ledger.landed.values()) == {1}
    lost = [e for e in rows.evidence_of(database_url, "k") if e["kind"] == "lost"]
    assert len(lost) == 3


async def test_a_restart_in_the_middle_replays_what_was_done(database_url: str) -> None:
    """Two of three branches are through when the worker stops: the next one calls only what is missing."""
    gate = Gate()
    ledger.plan("flight", gate)
    async with working(database_url, branches, drain_within="10ms") as w:
        await w.engine.start(branches, "a", key="k")
        through = "(SELECT count(*) FROM saga.effect e WHERE e.status = 'succeeded') = 4"
        await rows.until(w.url, "k", through)
    called = len(ledger.calls)
    async with working(database_url, branches) as w:
        assert await w.engine.handle(branches, key="k").result("10s") == ["a/x done", "a/y done", "a/z done"]
    assert ledger.names()[called:] == ["flight", "hotel"]
    assert set(ledger.landed.values()) == {1}


async def test_a_failure_that_was_caught_in_a_branch_replays(database_url: str) -> None:
    """A branch that catches its refusal and goes another way goes that way again after a restart."""
    gate = Gate()

    @saga("caught")
    async def caught(order: str) -> list[str]:
        async def one(name: str) -> str:
            try:
                return await flight(name)
            except StepFailed:
                return await car(name)

        return list(await asyncio.gather(one("x"), one("y")))

    ledger.plan("flight", refuse)
    ledger.plan("car", gate)
    async with working(database_url, caught, drain_within="10ms") as w:
        await w.engine.start(caught, "a", key="k")
        await gate.reached.wait()
    async with working(database_url, caught) as w:
        assert await w.engine.handle(caught, key="k").result("10s") == ["x done", "y done"]
    assert sorted(ledger.names()) == ["car", "car", "flight", "flight"]
    assert set(ledger.landed.values()) == {1}

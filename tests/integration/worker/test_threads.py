"""The budget of an attempt holds for threads and for tasks that do not hear; what they bring late is evidence."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from saga import Answer, Call, Fenced, Landed, NotFound, Retry, Service, Step, saga, step
from saga.dev.processes import wait_until
from tests.support import rows
from tests.support.fakes import Deaf, Ledger, ThreadGate, lose_request, make_step, service_of
from tests.support.working import working

ONCE = Retry(attempts=1)


class Desk:
    """A service that is called from threads, and has its ledger behind gates."""

    def __init__(self) -> None:
        self.gates: list[ThreadGate] = []
        self.landed: list[str] = []
        self.calls = 0

    def act(self, call: Call, what: str) -> str:
        self.calls += 1
        if self.gates:
            self.gates.pop(0).hold()
        if call.key not in self.landed:
            self.landed.append(call.key)
        return f"{what} done"

    def find(self, call: Call) -> Answer[str]:
        return Landed("found") if call.key in self.landed else NotFound()


def threaded(desk: Desk, service: Service, **options: Any) -> Step[[str], str]:
    """A `def` step with a `def` probe."""

    @step(service, timeout="150ms", undo="nothing", **options)
    def act(call: Call, what: str) -> str:
        return desk.act(call, what)

    if not options.get("at_most_once"):

        @act.status
        def ask(call: Call, what: str) -> Answer[str]:
            return desk.find(call)

        assert ask is not None
    made: Step[[str], str] = act
    return made


async def held(gate: ThreadGate) -> None:
    """A thread is in the gate. Waits in a thread of its own, so that the worker's loop goes on."""
    await asyncio.to_thread(wait_until, gate.reached.is_set, 10, "a thread is held")


async def test_a_def_step_is_as_good_as_an_async_one(database_url: str) -> None:
    """It runs in a thread, gets its call, and its result is the step's."""
    desk = Desk()
    act = threaded(desk, Service("desk", remembers="all", key_lifetime="24h"))

    @saga("threaded")
    async def function(order: str) -> str:
        return await act(order)

    async with working(database_url, function) as w:
        assert await w.run(function) == "a done"
    assert rows.evidence_of(database_url, "k") == []


async def test_a_thread_past_its_budget_is_unknown_and_its_late_result_settles(database_url: str) -> None:
    """At most once: the overrun parks at once; what the thread brings late un-parks the saga, and it completes."""
    desk, gate = Desk(), ThreadGate()
    desk.gates = [gate]
    act = threaded(desk, Service("desk"), at_most_once=True)

    @saga("threaded")
    async def function(order: str) -> str:
        return await act(order)

    async with working(database_url, function) as w:
        row = await w.parked(function)
        assert row["park_cause"] == "in_doubt"
        assert "still running" in row["park_reason"]
        gate.open.set()
        assert await w.engine.handle(function, key="k").result("10s") == "a done"
    assert desk.calls == 1
    late = [e for e in rows.evidence_of(database_url, "k") if e["kind"] == "late_reply"]
    assert [e["body"]["outcome"] for e in late] == ["succeeded"]


async def test_a_thread_that_still_runs_is_not_past_its_deadline(database_url: str) -> None:
    """However long it is held, nothing is proven absent and nothing is sent again while the thread may still send (S11)."""
    desk, gate = Desk(), ThreadGate()
    desk.gates = [gate]
    act = threaded(desk, Service("desk", lateness="0s", staleness="0s"), watch_for="1h")

    @saga("threaded")
    async def function(order: str) -> str:
        return await act(order)

    async with working(database_url, function) as w:
        await w.engine.start(function, "a", key="k")
        await held(gate)
        asked_twice = "(SELECT count(*) FROM saga.evidence e WHERE e.kind = 'probe') >= 2"
        await rows.until(w.url, "k", asked_twice)
        phases = {e["body"]["phase"] for e in rows.evidence_of(w.url, "k") if e["kind"] == "probe"}
        assert phases == {"early"}
        gate.open.set()
        assert await w.engine.handle(function, key="k").result("10s") in {"a done", "found"}
    assert desk.calls == 1


async def test_a_thread_that_never_got_its_turn_is_not_executed(database_url: str) -> None:
    """With every thread taken, a step that waited out its budget was certainly not sent."""
    desk, gate = Desk(), ThreadGate()
    desk.gates = [gate]
    slow = threaded(desk, Service("desk", remembers="all", key_lifetime="24h"), name="slow")
    quick = threaded(desk, Service("desk", remembers="all", key_lifetime="24h"), name="quick", retry=ONCE)

    @saga("holding")
    async def holding(order: str) -> str:
        return await slow(order)

    @saga("waiting")
    async def waiting(order: str) -> str:
        return await quick(order)

    async with working(database_url, holding, waiting, threads=1) as w:
        handle = await w.engine.start(holding, "a", key="held")
        await held(gate)
        assert await w.ended(waiting, key="k") == "try_again"
        gate.open.set()
        await handle.result("10s")
    assert rows.effects_of(database_url, "k")["quick#1", "forward"]["proof"] == "no thread"
    assert desk.calls == 1


async def test_a_task_that_does_not_hear_is_unknown_and_its_late_result_settles(database_url: str) -> None:
    """An async body that swallows its cancellation cannot hold the saga up, and its late answer counts."""
    ledger, deaf = Ledger("nothing"), Deaf()
    ledger.plan("charge", deaf)
    charge = make_step(ledger, "charge", probe=False, undo=False, at_most_once=True, timeout="100ms")

    @saga("deaf")
    async def function(order: str) -> str:
        return await charge(order)

    async with working(database_url, function) as w:
        await w.parked(function)
        deaf.open.set()
        assert await w.engine.handle(function, key="k").result("10s") == "a done"
    assert ledger.names() == ["charge"]


async def test_a_task_that_hears_is_asked_about(database_url: str) -> None:
    """A body that is cancelled at its deadline is unknown: it may have sent. The probe tells."""
    ledger = Ledger()

    async def too_slow(ledger: Ledger, call: Call, what: str) -> str:
        ledger.land(call, what)
        await asyncio.Event().wait()
        return "never"

    ledger.plan("charge", too_slow)
    charge = make_step(ledger, "charge", undo=False, timeout="100ms")

    @saga("slow")
    async def function(order: str) -> str:
        return await charge(order)

    async with working(database_url, function) as w:
        assert await w.run(function) == "a done"
    assert (ledger.names(), ledger.asked) == (["charge"], ["charge"])


async def test_a_late_success_of_a_read_is_no_alarm(database_url: str) -> None:
    """A read that was given up and returns late contradicts nothing: it changed nothing."""
    ledger, deaf = Ledger("nothing"), Deaf()
    ledger.plan("look", deaf)
    look = make_step(
        ledger, "look", undo=False, probe=False, reads=True, timeout="80ms", retry=Retry(attempts=1)
    )

    @saga("reading")
    async def function(order: str) -> str | None:
        return await look(order).or_none()

    async with working(database_url, function) as w:
        handle = await w.engine.start(function, "a", key="k")
        assert await handle.result("10s") is None
        deaf.open.set()
        late = "EXISTS (SELECT 1 FROM saga.evidence e WHERE e.kind = 'late_reply')"
        await rows.until(w.url, "k", late)
        assert (await handle.view()).status == "confirmed"
    assert rows.saga_of(database_url, "k")["alarm"] is None


async def test_a_late_success_against_a_settled_no_rings_the_alarm(database_url: str) -> None:
    """What was proven not executed and lands later is flagged: the customer's word returns to processing (S25)."""
    ledger, deaf = Ledger("nothing"), Deaf()
    ledger.plan("charge", deaf)
    ledger.answer("charge", Fenced())
    charge = make_step(ledger, "charge", undo=False, timeout="80ms", retry=ONCE)

    @saga("fenced")
    async def function(order: str) -> str:
        return await charge(order)

    async with working(database_url, function) as w:
        handle = await w.engine.start(function, "a", key="k")
        assert (await handle.view(wait="10s")).status == "try_again"
        deaf.open.set()
        row = await rows.until(w.url, "k", "alarm IS NOT NULL")
        view = await handle.view()
    assert "landed late" in row["alarm"]
    assert (view.status, view.needs_person) == ("processing", True)


@pytest.mark.parametrize("lost", [True, False])
async def test_a_step_times_out_in_the_middle_of_a_drain(database_url: str, *, lost: bool) -> None:
    """S34: a worker that drains waits for a call in flight, keeps its outcome, and the next worker goes on from it."""
    ledger = Ledger()
    reached, open_gate = asyncio.Event(), asyncio.Event()

    async def slow(ledger: Ledger, call: Call, what: str) -> str:
        reached.set()
        await open_gate.wait()
        return await lose_request(ledger, call, what) if lost else ledger.land(call, what)

    ledger.plan("charge", slow)
    charge = make_step(ledger, "charge", undo=False, service=service_of(ledger))
    confirm = make_step(ledger, "confirm", undo=False, service=charge.service)

    @saga("draining")
    async def function(order: str) -> str:
        await charge(order)
        return await confirm(order)

    async with working(database_url, function) as w:
        await w.engine.start(function, "a", key="k")
        await reached.wait()
        w.worker.stop()
        open_gate.set()
    row = rows.saga_of(database_url, "k")
    assert (row["status"], row["owner"]) in [("ready", None), ("asleep", None)]
    assert ledger.names() == ["charge"], "nothing new begins in a drain"
    async with working(database_url, function) as w:
        assert await w.engine.handle(function, key="k").result("10s") == "a done"
    assert ledger.landed.total() == 2

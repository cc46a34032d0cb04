"""Cancel and deadline are durable requests: they abort no call, start nothing new, and undo what was done."""

from __future__ import annotations

import pytest

from saga import Engine, Pending, Retry, saga
from tests.support import rows
from tests.support.fakes import Gate, Ledger, Move, away, lose_reply, make_step, refuse
from tests.support.working import working

pytestmark = pytest.mark.filterwarnings(
    "ignore::saga.DefinitionWarning"
)  # deadlines shorter than settle_within
ledger = Ledger()
QUICK = Retry(attempts=3, first="1ms", most="2ms")
SLOW = Retry(attempts=3, first="1h", most="1h")
reserve = make_step(ledger, "reserve", retry=QUICK)
charge = make_step(ledger, "charge", retry=QUICK)
ship = make_step(ledger, "ship", undo=False, retry=QUICK)
patient = make_step(ledger, "patient", retry=SLOW)


@pytest.fixture(autouse=True)
def empty_ledger() -> None:
    ledger.clear()


@saga("checkout")
async def checkout(order: str) -> str:
    await reserve(order)
    await charge(order)
    return await ship(order)


@saga("waiting")
async def waiting(order: str) -> str:
    await reserve(order)
    return await patient(order)


async def test_a_cancel_before_the_first_claim_calls_nothing(database_url: str) -> None:
    """Nothing was done, so nothing is undone: the saga is declined as soon as a worker sees it."""
    async with Engine(database_url, sagas=[checkout]) as engine:
        await engine.start(checkout, "a", key="k")
        await rows.ask_to_cancel(database_url, "k")
    async with working(database_url, checkout) as w:
        assert (await w.engine.handle(checkout, key="k").view(wait="10s")).status == "declined"
    assert ledger.calls == []


@pytest.mark.parametrize(
    ("then", "asked"),
    [(None, 0), (lose_reply, 1), (refuse, 0), (away, 0)],
    ids=["landed", "lost", "refused", "away"],
)
async def test_a_cancel_in_mid_call_takes_effect_when_the_call_is_settled(
    database_url: str, then: Move | None, asked: int
) -> None:
    """The call is not aborted; what it did is undone, whichever way it ended, and the next step never begins."""
    gate = Gate() if then is None else Gate(then)
    ledger.plan("charge", gate)
    async with working(database_url, checkout) as w:
        handle = await w.engine.start(checkout, "a", key="k")
        await gate.reached.wait()
        await rows.ask_to_cancel(w.url, "k")
        assert (await handle.view(wait="20ms")).status == "processing"
        gate.open.set()
        assert (await handle.view(wait="10s")).status == "declined"
    assert "ship" not in ledger.names()
    assert ledger.names().count("charge") == 1, "a cancelled saga sends nothing again"
    assert len(ledger.asked) == asked
    assert ledger.standing() == 0


async def test_a_cancel_wakes_a_saga_that_sleeps(database_url: str) -> None:
    """A saga that waits an hour for its next attempt is out of memory; a cancel ends it now."""
    ledger.plan("patient", away)
    async with working(database_url, waiting) as w:
        handle = await w.engine.start(waiting, "a", key="k")
        row = await rows.until(w.url, "k", "status = 'asleep'")
        assert (row["owner"], row["waiting_for"]) == (None, "patient#1")
        await rows.ask_to_cancel(w.url, "k")
        assert (await handle.view(wait="10s")).status == "declined"
    assert ledger.names() == ["reserve", "patient", "undo_reserve"]


async def test_a_cancel_of_a_parked_saga_undoes_what_is_settled(database_url: str) -> None:
    """Code that failed parks; a cancel then compensates, without the code."""

    @saga("buggy")
    async def buggy(order: str) -> str:
        await reserve(order)
        raise KeyError("a bug")

    async with working(database_url, buggy) as w:
        await w.parked(buggy)
        await rows.ask_to_cancel(w.url, "k")
        handle = w.engine.handle(buggy, key="k")
        assert (await handle.view(wait="10s")).status == "declined"
    assert ledger.names() == ["reserve", "undo_reserve"]


async def test_a_cancel_during_compensation_is_too_late(database_url: str) -> None:
    """A saga that is being undone goes on being undone, and its answer stays what it was."""
    gate = Gate()
    ledger.plan("ship", *[away] * 3)
    ledger.plan("undo_charge", gate)
    async with working(database_url, checkout) as w:
        handle = await w.engine.start(checkout, "a", key="k")
        await gate.reached.wait()
        await rows.ask_to_cancel(w.url, "k")
        gate.open.set()
        assert (await handle.view(wait="10s")).status == "try_again"
    assert ledger.names()[-2:] == ["undo_charge", "undo_reserve"]
    assert ledger.standing() == 0


async def test_a_cancel_in_the_moment_of_the_end_is_not_lost(database_url: str) -> None:
    """Requested while the last call is out: the saga is undone, and never both confirmed and cancelled."""
    gate = Gate()
    ledger.plan("ship", gate)
    async with working(database_url, checkout) as w:
        handle = await w.engine.start(checkout, "a", key="k")
        await gate.reached.wait()
        await rows.ask_to_cancel(w.url, "k")
        gate.open.set()
        assert (await handle.view(wait="10s")).status == "declined"
    assert ledger.names()[-2:] == ["undo_charge", "undo_reserve"]


async def test_a_deadline_turns_a_saga_that_waits(database_url: str) -> None:
    """Out of time while a probe is pending: what is in doubt is settled first, and then everything is undone."""

    @saga("dated", deadline="300ms")
    async def dated(order: str) -> str:
        await reserve(order)
        return await charge(order)

    ledger.plan("charge", lose_reply)
    ledger.answer("charge", *[Pending(retry_after=0.1)] * 6)
    async with working(database_url, dated) as w:
        assert await w.ended(dated) == "try_again"
    assert ledger.names() == ["reserve", "charge", "undo_charge", "undo_reserve"]
    assert rows.saga_of(database_url, "k")["error"]["cause"] == "deadline"


async def test_a_deadline_wakes_a_saga_that_sleeps(database_url: str) -> None:
    """The next attempt would be in an hour; the deadline is what the saga sleeps for."""

    @saga("dated", deadline="2500ms")
    async def dated(order: str) -> str:
        await reserve(order)
        return await patient(order)

    ledger.plan("patient", away)
    async with working(database_url, dated) as w:
        assert await w.ended(dated) == "try_again"
    assert ledger.names() == ["reserve", "patient", "undo_reserve"]


async def test_a_deadline_aborts_no_call(database_url: str) -> None:
    """A call that is out at the deadline ends as it ends; its effect is undone."""

    @saga("dated", deadline="100ms")
    async def dated(order: str) -> str:
        return await charge(order)

    gate = Gate()
    ledger.plan("charge", gate)
    async with working(database_url, dated) as w:
        handle = await w.engine.start(dated, "a", key="k")
        await gate.reached.wait()
        await rows.until(w.url, "k", "deadline_at < now() - interval '0.2 s'")  # a worker's clock is behind
        gate.open.set()
        assert (await handle.view(wait="10s")).status == "try_again"
    assert ledger.names() == ["charge", "undo_charge"]


async def test_a_saga_that_was_out_of_time_before_it_began_calls_nothing(database_url: str) -> None:
    """No worker had time for it: the first one that has ends it."""

    @saga("dated", deadline="10ms")
    async def dated(order: str) -> str:
        return await reserve(order)

    async with Engine(database_url, sagas=[dated]) as engine:
        await engine.start(dated, "a", key="k")
        await rows.until(database_url, "k", "deadline_at < now()")
    async with working(database_url, dated) as w:
        handle = w.engine.handle(dated, key="k")
        assert (await handle.view(wait="10s")).status == "try_again"
    assert ledger.calls == []


async def test_a_cancel_between_intent_and_send_sends_nothing_twice(database_url: str) -> None:
    """Cancels that race with every moment of many sagas: each is confirmed whole, or declined and undone."""
    async with working(database_url, checkout) as w:
        handles = [await w.engine.start(checkout, f"o{n}", key=f"k{n}") for n in range(60)]
        for n in range(0, 60, 2):
            await rows.ask_to_cancel(w.url, f"k{n}")
        statuses = [(await handle.view(wait="20s")).status for handle in handles]
    confirmed = sum(status == "confirmed" for status in statuses)
    assert set(statuses) <= {"confirmed", "declined"}
    assert set(statuses[1::2]) == {"confirmed"}
    assert set(ledger.landed.values()) == {1}
    shipped = sum(1 for name in ledger.names() if name == "ship")
    undone_ships = shipped - confirmed  # shipping has no undo, so a saga cancelled after it keeps it
    assert ledger.standing() == 3 * confirmed + undone_ships

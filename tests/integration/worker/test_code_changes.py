"""Code that no longer fits what is recorded parks the saga, shows both sides, sends nothing, and goes on after a fix."""

from __future__ import annotations

import pytest

from saga import Call, NotFound, saga, step
from tests.support import rows
from tests.support.code_changes import (
    CHANGED,
    STEPS,
    Function,
    charge,
    checkout,
    confirm,
    ledger,
    mended,
    parked_under,
    reserve,
    right,
    service,
    stopped_at_charge,
)
from tests.support.fakes import Gate, away, make_step, refuse
from tests.support.working import working


@pytest.fixture(autouse=True)
def empty_ledger() -> None:
    ledger.clear()


@pytest.mark.parametrize("changed", CHANGED)
async def test_code_that_no_longer_fits_parks_with_both_sides(database_url: str, changed: Function) -> None:
    """Other arguments, a step before a recorded one, a step left out or swapped: nothing is sent, both sides are shown."""
    await stopped_at_charge(database_url)
    called = len(ledger.calls)
    row = await parked_under(database_url, changed)
    assert row["park_cause"] == "code_changed"
    assert set(row["park_detail"]) == {"recorded", "called"}
    assert row["park_detail"]["recorded"]
    assert [name for name in ledger.names()[called:] if name != "charge"] == []
    assert await mended(database_url) == "a done"
    assert set(ledger.landed.values()) == {1}
    assert ledger.standing() == 3


async def test_a_recorded_step_that_is_gone_parks(database_url: str) -> None:
    """A step that was renamed is named, with the steps that the code has."""
    await stopped_at_charge(database_url)
    billed = make_step(ledger, "bill", service=service)

    async def renamed(order: str) -> str:
        await reserve(order)
        return await billed(order)

    row = await parked_under(database_url, renamed, steps=[reserve, billed])
    assert row["park_cause"] == "code_changed"
    assert row["park_detail"] == {"recorded": "charge#1", "called": ["bill", "reserve"]}
    assert await mended(database_url) == "a done"


async def test_a_result_whose_type_changed_parks(database_url: str) -> None:
    """A recorded result that the new type does not take is code changed, and the old code still ends the saga."""
    await stopped_at_charge(database_url)

    @step(service, timeout="5s", name="reserve", undo="nothing")
    async def counting(call: Call, what: str) -> int:
        return len(what)

    async def changed(order: str) -> str:
        await counting(order)
        return await charge(order)

    row = await parked_under(database_url, changed, steps=[counting, charge])
    assert row["park_cause"] == "code_changed"
    assert "the recorded result of reserve#1 no longer fits" in row["park_reason"]
    assert await mended(database_url) == "a done"


async def test_an_input_whose_type_changed_parks(database_url: str) -> None:
    """The same for the input."""
    await stopped_at_charge(database_url)

    async def changed(order: int) -> str:
        await reserve(str(order))
        return await charge(str(order))

    row = await parked_under(database_url, changed)  # type: ignore[arg-type]
    assert row["park_cause"] == "code_changed"
    assert "the recorded input no longer fits" in row["park_reason"]
    assert await mended(database_url) == "a done"


async def test_a_compensation_that_is_gone_parks_until_it_is_back(database_url: str) -> None:
    """A deploy that drops a compensation in the middle of an undo undoes nothing by halves."""
    gate = Gate(away)
    ledger.plan("confirm", refuse)
    ledger.plan("undo_charge", gate)
    async with working(database_url, checkout(right), drain_within="10ms") as w:
        await w.engine.start(checkout(right), "a", key="k")
        await gate.reached.wait()
    bare = make_step(ledger, "charge", service=service, undo=False)

    async def without(order: str) -> str:
        await reserve(order)
        await bare(order)
        return await confirm(order)

    row = await parked_under(database_url, without, steps=[reserve, bare, confirm])
    assert (row["park_cause"], row["direction"]) == ("code_changed", "backward")
    await rows.wake(database_url, "k")
    async with working(database_url, checkout(right)) as w:
        handle = w.engine.handle(checkout(right), key="k")
        assert (await handle.view(wait="10s")).status == "declined"
    assert ledger.standing() == 0


async def test_code_between_steps_may_change(database_url: str) -> None:
    """Anything may change as long as the sequence of steps follows from recorded results."""
    await stopped_at_charge(database_url)

    async def refactored(order: str) -> str:
        for one in (reserve, charge):
            await one(order)
        notes = [order.upper() for _ in range(3)]
        return await confirm(notes[0])

    assert await mended(database_url, refactored) == "A done"


async def test_versions_stand_side_by_side(database_url: str) -> None:
    """A worker that has both versions ends an old saga by the old code and a new one by the new."""
    await stopped_at_charge(database_url)

    @saga("checkout", version=2, steps=STEPS)
    async def newer(order: str) -> str:
        return await confirm(f"new {order}")

    ledger.answer("charge", NotFound())
    async with working(database_url, checkout(right), newer) as w:
        assert await w.engine.handle(checkout(right), key="k").result("10s") == "a done"
        assert await w.run(newer, "b", key="n") == "new b done"

"""`saga check --against-db`: every saga that has not ended is replayed, and what is said is what a worker would do.

A stopped saga stands in the middle of its second step, in doubt; see tests/support/code_changes.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from saga import Call, Engine, Service, Step, saga, step, together
from saga_worker.rehearsal import Misfit, Unfit
from tests.support import rows
from tests.support.checking import checked, misfit_of
from tests.support.code_changes import (
    CHANGED,
    STEPS,
    Function,
    charge,
    checkout,
    confirm,
    ledger,
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


async def foretold(url: str, function: Function, **options: Any) -> Misfit:
    """What the check says of a saga; sees to it that a worker with that code then does what was said, and shows the same."""
    said = await misfit_of(url, checkout(function, **options))
    assert said is not None
    row = await parked_under(url, function, **options)
    assert (said.kind, said.reason) == (row["park_cause"], row["park_reason"])
    if said.kind is Unfit.CODE_CHANGED:
        assert (
            json.loads(json.dumps({"recorded": said.recorded, "called": said.called})) == row["park_detail"]
        )
    return said


@pytest.mark.parametrize("changed", CHANGED)
async def test_what_a_worker_would_park_is_foretold_in_its_words(
    database_url: str, changed: Function
) -> None:
    """Other arguments, a step before a recorded one, one left out or swapped: the very reason, and both sides."""
    await stopped_at_charge(database_url)
    said = await foretold(database_url, changed)
    assert said.kind is Unfit.CODE_CHANGED
    assert said.recorded


async def test_a_step_that_is_gone_is_foretold(database_url: str) -> None:
    """A renamed step, with the steps that the code has."""
    await stopped_at_charge(database_url)
    billed = make_step(ledger, "bill", service=service)

    async def renamed(order: str) -> str:
        await reserve(order)
        return await billed(order)

    said = await foretold(database_url, renamed, steps=[reserve, billed])
    assert (said.recorded, said.called) == ("charge#1", ["bill", "reserve"])


def counting() -> Step[[str], int]:
    """A reservation that gives a number now."""

    @step(service, timeout="5s", name="reserve", undo="nothing")
    async def made(call: Call, what: str) -> int:
        return len(what)

    return made


def with_a_default() -> Step[..., str]:
    """A reservation with a parameter more."""

    @step(service, timeout="5s", name="reserve", undo="nothing")
    async def made(call: Call, what: str, quantity: int = 1) -> str:
        return what

    return made


@pytest.mark.parametrize(
    ("changed_step", "word"),
    [(counting, "the recorded result of reserve#1 no longer fits"), (with_a_default, "quantity")],
)
async def test_a_changed_type_is_foretold(
    database_url: str, changed_step: Callable[[], Step[[str], Any]], word: str
) -> None:
    """Of a result, and of an argument: also one that has a default now."""
    await stopped_at_charge(database_url)
    other = changed_step()

    async def changed(order: str) -> str:
        await other(order)
        return await charge(order)

    assert word in (await foretold(database_url, changed, steps=[other, charge])).reason


async def test_an_input_whose_type_changed_is_foretold(database_url: str) -> None:
    """Also of a saga that nobody has taken up yet."""

    async def changed(order: int) -> str:
        return await charge(str(order))

    async with Engine(database_url, sagas=[checkout(right)]) as engine:
        await engine.start(checkout(right), "a", key="k")
    said = await foretold(database_url, changed)  # type: ignore[arg-type]
    assert "the recorded input no longer fits" in said.reason


async def stopped_while_undoing(url: str) -> None:
    """A saga that a worker left in the middle of its way back: the undo of its charge is under way, that of its reservation is not."""
    gate = Gate(away)
    ledger.plan("confirm", refuse)
    ledger.plan("undo_charge", gate)
    async with working(url, checkout(right), drain_within="10ms") as w:
        await w.engine.start(checkout(right), "a", key="k")
        await gate.reached.wait()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("charge", "the undo of charge#1 is recorded, and charge has no compensation any more"),
        ("reserve", "reserve has no compensation any more"),
    ],
)
async def test_a_compensation_that_is_gone_is_foretold_while_it_is_needed(
    database_url: str, name: str, reason: str
) -> None:
    """Under way, or still to come in the plan: said before anything is undone by halves."""
    await stopped_while_undoing(database_url)
    assert await misfit_of(database_url, checkout(right)) is None
    bare = make_step(ledger, name, service=service, undo=False)
    reserving, charging = (bare if one.name == name else one for one in (reserve, charge))

    async def without(order: str) -> str:
        await reserving(order)
        await charging(order)
        return await confirm(order)

    said = await misfit_of(database_url, checkout(without, steps=[reserving, charging, confirm]))
    assert said is not None
    assert (said.kind, said.reason) == (Unfit.CODE_CHANGED, reason)


async def test_while_it_is_undone_the_function_may_change(database_url: str) -> None:
    """It is not called any more; nor is that of a saga that is cancelled, or whose end was contradicted."""
    await stopped_while_undoing(database_url)
    assert await misfit_of(database_url, checkout(CHANGED[0])) is None
    rows.execute(database_url, "UPDATE saga.saga SET status = 'abandoned', finished_at = now()")
    ledger.clear()
    gate = Gate()
    ledger.plan("charge", gate)
    async with working(database_url, checkout(right), drain_within="10ms") as w:
        await w.engine.start(checkout(right), "b", key="b")
        await gate.reached.wait()
    assert await misfit_of(database_url, checkout(CHANGED[0])) is not None
    for turned in ("cancel_requested = true", "deadline_at = now()", 'amendment = \'{"end": "completed"}\''):
        rows.execute(database_url, f"UPDATE saga.saga SET {turned} WHERE key = 'b'")
        assert await misfit_of(database_url, checkout(CHANGED[0])) is None
        rows.execute(
            database_url,
            "UPDATE saga.saga SET cancel_requested = false, deadline_at = NULL, amendment = NULL WHERE key = 'b'",
        )


async def test_a_version_that_is_gone_is_said(database_url: str) -> None:
    """With the versions that the code has."""
    await stopped_at_charge(database_url)

    @saga("checkout", version=2, steps=STEPS)
    async def newer(order: str) -> str:
        return await confirm(order)

    said = await misfit_of(database_url, newer)
    assert said is not None
    assert said.kind is Unfit.NOT_SERVED
    assert (said.recorded, said.called) == ("checkout v1", ["checkout v2"])
    assert "there is no version 1 of saga checkout in this engine; its versions are [2]" in said.reason
    assert await misfit_of(database_url, newer, checkout(right)) is None


async def breaking(order: str) -> str:
    await reserve(order)
    raise KeyError("customer_group")


async def forgetting(order: str) -> str:
    await reserve(order)
    confirm(order)  # type: ignore[unused-awaitable]  # the mistake that is found
    return order


@pytest.mark.parametrize(
    ("function", "kind", "word"),
    [(breaking, Unfit.CODE_FAILED, "customer_group"), (forgetting, Unfit.NOT_AWAITED, "confirm#1")],
)
async def test_a_bug_behind_the_recorded_steps_is_foretold(
    database_url: str, function: Function, kind: Unfit, word: str
) -> None:
    """What would park as code failed or not awaited; until it is fixed."""
    gate = Gate(away)
    ledger.plan("charge", gate)

    async def only_reserve(order: str) -> str:
        await reserve(order)
        raise TypeError(word)  # a first bug, so that the saga stands behind one step

    async with working(database_url, checkout(only_reserve)) as w:
        await w.parked(checkout(only_reserve))
    said = await misfit_of(database_url, checkout(function))
    assert said is not None
    assert (said.kind, word in said.reason) == (kind, True)
    assert await misfit_of(database_url, checkout(right)) is None


async def test_code_that_fits_is_found_to_fit_whatever_the_saga_does(database_url: str) -> None:
    """Ready, asleep, running, parked in doubt: other code between the steps fits all of them."""
    dark = make_step(ledger, "dark", service=Service("dark"), probe=False, undo=False, at_most_once=True)
    steps = [*STEPS, dark]

    async def two_ways(order: str) -> str:
        await reserve(order)
        return await (dark if order == "parked" else charge)(order)

    async def rewritten(order: str) -> str:
        first, second = reserve, dark if order == "parked" else charge
        await first(f"{order}")
        return await second(order)

    gate = Gate()

    async def lost(*_: Any) -> str:
        raise ConnectionResetError("cut")

    async with working(database_url, checkout(two_ways, steps=steps), drain_within="10ms") as w:
        ledger.plan("dark", lost)
        await w.parked(checkout(two_ways, steps=steps), "parked", key="parked")
        ledger.plan("charge", gate)
        await w.engine.start(checkout(two_ways, steps=steps), "running", key="running")
        await gate.reached.wait()
        await w.run(checkout(two_ways, steps=steps), "ended", key="ended")
    async with Engine(database_url, sagas=[checkout(two_ways, steps=steps)]) as engine:
        for key in ("ready", "asleep"):
            await engine.start(checkout(two_ways, steps=steps), key, key=key)
    rows.execute(database_url, "UPDATE saga.saga SET status = 'asleep' WHERE key = 'asleep'")
    rows.execute(
        database_url,
        "UPDATE saga.saga SET status = 'running', owner = gen_random_uuid(), lane = 0 WHERE key = 'running'",
    )
    found = await checked(database_url, checkout(rewritten, steps=steps))
    assert {one.saga.key: one.saga.status for one in found} == {
        key: key for key in ("ready", "asleep", "running", "parked")
    }
    assert [one.misfit for one in found] == [None] * 4


async def test_branches_are_replayed_in_the_order_in_which_they_ended(database_url: str) -> None:
    """Parallel steps keep their identities; two that were swapped are found."""
    gate = Gate()
    ledger.plan("confirm", gate)

    async def both(order: str) -> str:
        pair = await together(charge(order), reserve(order))
        return await confirm(pair[0])

    async def swapped_arguments(order: str) -> str:
        pair = await together(charge(f"{order}!"), reserve(order))
        return await confirm(pair[0])

    async with working(database_url, checkout(both), drain_within="10ms") as w:
        await w.engine.start(checkout(both), "a", key="k")
        await gate.reached.wait()
    assert await misfit_of(database_url, checkout(both)) is None
    said = await misfit_of(database_url, checkout(swapped_arguments))
    assert said is not None
    assert (said.recorded, said.called) == ({"what": "a"}, {"what": "a!"})

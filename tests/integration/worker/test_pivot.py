"""After its pivot a saga only goes forward: nothing is compensated, and what fails waits for a person (S30)."""

from __future__ import annotations

import pytest

from saga import DefinitionError, Engine, SagaDefinition, saga
from saga.verify import verify
from tests.support import rows
from tests.support.fakes import Gate, Ledger, Move, land, lose_request, make_step, refuse
from tests.support.working import working


def shop(ledger: Ledger) -> SagaDefinition[str, str]:
    """Reserve, then the pivot, then tell."""
    reserve = make_step(ledger, "reserve")
    pay = make_step(ledger, "pay", undo=False, pivot=True)
    tell = make_step(ledger, "tell", undo=False)

    @saga("pivotal")
    async def pivotal(order: str) -> str:
        await reserve(order)
        await pay(order)
        return await tell(order)

    return pivotal


async def test_s30_a_failure_after_the_pivot_parks_and_undoes_nothing(database_url: str) -> None:
    """S30: the reservation stands although a later step was refused, and a person is asked."""
    ledger = Ledger()
    ledger.plan("tell", refuse)
    definition = shop(ledger)
    async with working(database_url, definition) as w:
        assert (await w.parked(definition))["park_cause"] == "after_pivot"
    assert ledger.names() == ["reserve", "pay", "tell"]
    assert ledger.standing() == 2


async def test_s30_a_failure_before_the_pivot_is_undone(database_url: str) -> None:
    """S30: a pivot that was refused is no pivot yet."""
    ledger = Ledger()
    ledger.plan("pay", refuse)
    definition = shop(ledger)
    async with working(database_url, definition) as w:
        assert await w.ended(definition) == "declined"
    assert ledger.names() == ["reserve", "pay", "undo_reserve"]
    assert ledger.standing() == 0


@pytest.mark.parametrize(
    ("held", "then", "called"),
    [
        ("pay", land, ["reserve", "pay", "tell"]),
        ("tell", lose_request, ["reserve", "pay", "tell", "tell"]),
    ],
    ids=["noticed with the pivot's landing", "noticed with the step behind it in doubt"],
)
async def test_s30_a_cancel_after_the_pivot_comes_too_late(
    database_url: str, held: str, then: Move, called: list[str]
) -> None:
    """S30, S31: the owner decides; the request is taken back, what is in flight stays wanted, the saga completes."""
    ledger = Ledger()
    gate = Gate(then=then)
    ledger.plan(held, gate)
    definition = shop(ledger)
    async with working(database_url, definition) as w:
        handle = await w.engine.start(definition, "a", key="k")
        await gate.reached.wait()
        await handle.cancel("changed my mind")
        gate.open.set()
        assert await handle.result("10s") == "a done"
        assert (await verify(w.engine)).differences == []
    assert ledger.names() == called
    assert rows.saga_of(database_url, "k")["cancel_requested"] is False


def test_s30_two_pivots_and_an_undo_behind_one_are_refused() -> None:
    """S30: what could never be undone is refused when the engine is built."""
    ledger = Ledger()
    first = make_step(ledger, "first", undo=False, pivot=True)
    second = make_step(ledger, "second", undo=False, pivot=True)
    behind = make_step(ledger, "behind")

    @saga("two")
    async def two(order: str) -> str:
        await first(order)
        return await second(order)

    @saga("undoable")
    async def undoable(order: str) -> str:
        await first(order)
        return await behind(order)

    with pytest.raises(DefinitionError) as refused:
        Engine("postgresql://nowhere/x", sagas=[two, undoable])
    assert "2 pivots" in str(refused.value)
    assert "behind stands behind the pivot first" in str(refused.value)

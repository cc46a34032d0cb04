"""An undo is an effect of its own, and can be in doubt, away or refused like any other."""

from __future__ import annotations

from saga import Pending, Refused, Retry, SagaDefinition, Step, saga
from tests.support.fakes import Ledger, away, land, lose_reply, make_step, refuse
from tests.support.working import working

QUICK = Retry(attempts=4, first="1ms", most="2ms")


def two_steps(first: Step[[str], str], second: Step[[str], str]) -> SagaDefinition[str, str]:
    """A saga of these two, one after the other."""

    @saga("two")
    async def two(order: str) -> str:
        await first(order)
        return await second(order)

    return two


def refused(ledger: Ledger) -> SagaDefinition[str, str]:
    """A saga whose second step is refused."""
    ledger.plan("ship", refuse)
    return two_steps(
        make_step(ledger, "charge", retry=QUICK), make_step(ledger, "ship", undo=False, retry=QUICK)
    )


async def test_a_lost_reply_of_an_undo_is_found_by_its_probe(database_url: str) -> None:
    """The refund happened once, and is not made again."""
    ledger = Ledger()
    ledger.plan("undo_charge", lose_reply)
    definition = refused(ledger)
    async with working(database_url, definition) as w:
        assert await w.ended(definition) == "declined"
    assert (ledger.names(), ledger.standing()) == (["charge", "ship", "undo_charge"], 0)


async def test_an_undo_is_tried_again_for_as_long_as_it_takes(database_url: str) -> None:
    """More failures than the step has attempts: an undo is never given up as not executed (S29)."""
    ledger = Ledger()
    ledger.plan("undo_charge", *[away] * 7, land)
    definition = refused(ledger)
    async with working(database_url, definition) as w:
        assert await w.ended(definition) == "declined"
    assert ledger.names().count("undo_charge") == 8
    assert ledger.standing() == 0


async def test_an_undo_that_is_refused_parks(database_url: str) -> None:
    """A final no to a refund is never counted as refunded: a person is told, the customer waits."""
    ledger = Ledger()
    ledger.plan("undo_charge", refuse)
    definition = refused(ledger)
    async with working(database_url, definition) as w:
        row = await w.parked(definition)
        view = await w.engine.handle(definition, key="k").view()
    assert row["park_cause"] == "compensation_refused"
    assert "charge#1" in row["park_reason"]
    assert (view.status, view.needs_person) == ("processing", True)
    assert ledger.standing() == 1


async def test_an_undo_in_doubt_that_cannot_be_settled_parks_in_doubt(database_url: str) -> None:
    """No probe and no dedup for the undo: sent once, unknown, and then a person."""
    ledger = Ledger("nothing")
    ledger.plan("undo_charge", lose_reply)
    ledger.plan("ship", refuse)
    charge = make_step(ledger, "charge", probe=False, at_most_once=True)
    ship = make_step(ledger, "ship", undo=False)
    definition = two_steps(charge, ship)
    async with working(database_url, definition) as w:
        row = await w.parked(definition)
    assert row["park_cause"] == "in_doubt"
    assert (row["status"], row["direction"]) == ("parked", "backward")
    assert ledger.names().count("undo_charge") == 1


async def test_nothing_is_undone_while_anything_is_in_doubt(database_url: str) -> None:
    """A doubt that is only settled at the fourth question holds every undo back until then (S26)."""
    ledger = Ledger()
    ledger.plan("charge", lose_reply)
    ledger.answer("charge", *[Pending(retry_after=0.02)] * 3)
    reserve, charge = make_step(ledger, "reserve"), make_step(ledger, "charge")

    @saga("giving_up")
    async def giving_up(order: str) -> str:
        await reserve(order)
        paid = await charge(order)
        raise Refused("changed_mind", paid)

    async with working(database_url, giving_up) as w:
        assert await w.ended(giving_up) == "declined"
    assert ledger.names() == ["reserve", "charge", "undo_charge", "undo_reserve"]
    assert len(ledger.asked) == 4

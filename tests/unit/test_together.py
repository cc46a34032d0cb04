"""`together`: siblings settle before a failure is raised, and a bug comes before a refusal."""

import asyncio
from decimal import Decimal

import pytest

from saga import NotExecuted, Refused, together
from tests.support.flow import HandFlow, idle
from tests.support.shop import Payment, charge, invoice

PAID = Payment("p", Decimal(1))


async def both() -> tuple[Payment, Payment]:
    return await together(charge("1"), invoice("2"))


async def test_results_come_in_the_order_of_the_calls() -> None:
    """Whoever ends first."""
    flow = HandFlow()
    run = await flow.run(both)
    await flow.give("invoice#1", Payment("second", Decimal(1)))
    await flow.give("charge#1", Payment("first", Decimal(1)))
    assert [payment.id for payment in await run] == ["first", "second"]


async def test_nothing_at_all_is_an_empty_tuple() -> None:
    """A list that happens to be empty is no error."""
    assert await together() == ()


async def test_siblings_settle_before_a_failure_is_raised() -> None:
    """No branch is cancelled: what is to be undone must be known."""
    flow = HandFlow()
    run = await flow.run(both)
    await flow.fail("charge#1", Refused("declined"))
    assert not run.done()
    await flow.give("invoice#1", PAID)
    with pytest.raises(Refused, match="declined"):
        await run
    assert flow.told == []


async def test_the_failure_that_happened_first_is_raised() -> None:
    """By time, and not by position."""
    flow = HandFlow()
    run = await flow.run(both)
    await flow.fail("invoice#1", NotExecuted("down"))
    await flow.fail("charge#1", Refused("declined"))
    with pytest.raises(NotExecuted, match="down"):
        await run


async def test_a_bug_comes_before_a_refusal() -> None:
    """Else a saga would be undone by a typing error in one of its branches."""
    flow = HandFlow()

    async def branch() -> Payment:
        payment = await invoice("2")
        raise ZeroDivisionError(payment.id)

    run = await flow.run(lambda: together(charge("1"), branch()))
    await flow.fail("charge#1", Refused("declined"))
    await flow.give("invoice#1", PAID)
    with pytest.raises(ZeroDivisionError):
        await run


async def test_a_branchs_group_of_refusals_is_a_refusal() -> None:
    """A TaskGroup in a branch wraps them."""
    flow = HandFlow()

    async def branch() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(charge("1"))

    run = await flow.run(lambda: together(branch(), invoice("2")))
    await flow.fail("charge#1", Refused("declined"))
    await flow.fail("invoice#1", NotExecuted("down"))
    with pytest.raises(ExceptionGroup):
        await run


async def test_cancelling_it_waits_for_every_branch() -> None:
    """And then it is cancelled, as any task."""
    flow = HandFlow()
    run = await flow.run(both)
    run.cancel()
    await idle()
    assert sorted(flow.told) == [("unwanted", "charge#1"), ("unwanted", "invoice#1")]
    await flow.give("charge#1", PAID)
    assert not run.done()
    await flow.fail("invoice#1", Refused("no"))
    with pytest.raises(asyncio.CancelledError):
        await run


async def test_what_is_done_already_is_taken_as_it_is() -> None:
    """Futures and tasks are awaitables, too; a failure in one is not lost."""
    done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    done.set_exception(Refused("before"))
    with pytest.raises(Refused, match="before"):
        await together(done)

"""An undo that the service does not do is done by hand, and a person's word lets the way back go on (S29, S37)."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from saga import Call, Landed, NotExecuted, Refused, Retry, Service, saga, step
from saga.errors import Unsafe
from saga.verify import verify
from tests.support import desk_sagas, rows
from tests.support.desk_sagas import paying
from tests.support.working import Working, working

stock = Service("stock", remembers="all", key_lifetime="7d", lateness="1s")


@step(stock, timeout="1s", settle_within="200ms", retry=Retry(attempts=2, first="50ms", most="50ms"))
async def reserve(call: Call, order: str) -> str:
    return order


@reserve.compensate
async def release(call: Call, reservation: str, order: str) -> None:
    raise NotExecuted("the stock system is down")


@step(stock, timeout="1s", undo="nothing")
async def pack(call: Call, order: str) -> str:
    raise Refused("broken")


@saga("packing")
async def packing(order: str) -> str:
    await reserve(order)
    return await pack(order)


@pytest.fixture
async def shop(database_url: str) -> AsyncGenerator[Working]:
    desk_sagas.forget()
    async with working(database_url, packing, *desk_sagas.SAGAS) as shop:
        yield shop
    desk_sagas.forget()


async def test_a_refund_that_the_service_refused_is_stated_as_done_by_hand(shop: Working) -> None:
    """The way is named, the service is not asked, and the customer has an end; proven by statement, and verified."""
    desk = shop.engine.operator("ann")
    desk_sagas.BUGS.add("stubborn")
    await shop.parked(paying, "stubborn", key="s")
    await desk.cancel("s", because="b")
    await rows.until(shop.url, "s", "park_cause = 'compensation_refused'")
    assert "`saga resolve s refund --landed --because" in (await desk.why("s")).sentence
    preview = await desk.preview_statement("s", "refund", landed=True)
    assert (preview.refused, "refund of charge#1 was done by hand" in preview.sentence) == (None, True)
    with pytest.raises(Unsafe, match="not in doubt"):
        await desk.resolve("s", "refund", landed=False, because="b")
    resolution = await desk.resolve("s", "refund", landed=True, because="at the counter")
    assert resolution.acted is not None
    assert resolution.answer is None
    line = await desk.wait("s", "10s")
    assert (line.status, line.view, line.alarm) == ("compensated", "declined", None)
    refund = rows.effects_of(shop.url, "s")["charge#1", "backward"]
    assert (refund["status"], refund["by_statement"], refund["attempt"]) == ("succeeded", True, 1)
    assert (await verify(shop.engine)).differences == []
    await shop.engine.witness(refund["key"], Landed(None))
    assert (await desk.find("s")).alarm == "charge#1: it landed late, after a person had done it by hand"
    with pytest.raises(Unsafe, match="not in doubt"):
        await desk.resolve("s", "refund", landed=True, because="again")


async def test_a_stuck_release_is_stated_as_done_by_hand(shop: Working) -> None:
    """Proven not executed, and undone outside: no further send, and an end."""
    desk = shop.engine.operator("ann")
    row = await shop.parked(packing, "a", key="k")
    assert row["park_cause"] == "compensation_stuck"
    assert row["park_reason"].startswith("undo of reserve#1: never executed")
    sent = rows.effects_of(shop.url, "k")["reserve#1", "backward"]["attempt"]
    await desk.resolve("k", "release", landed=True, because="put back on the shelf")
    assert (await desk.wait("k", "10s")).status == "compensated"
    undo = rows.effects_of(shop.url, "k")["reserve#1", "backward"]
    assert (undo["status"], undo["by_statement"], undo["attempt"]) == ("succeeded", True, sent)


async def test_only_the_undo_that_waits_for_hands_is_stated_so(shop: Working) -> None:
    """A refused step forward is proven, whatever anybody says."""
    desk = shop.engine.operator("ann")
    await shop.parked(packing, "a", key="k")
    with pytest.raises(Unsafe, match="not in doubt"):
        await desk.resolve("k", "pack", landed=True, because="b", result="packed")

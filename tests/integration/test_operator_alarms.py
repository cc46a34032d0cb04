"""What an operator does about an alarm: it is seen, undone where it must be, and never silent (S16, S25, S39)."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from saga import Landed, Refused
from saga.errors import Unsafe
from tests.support import desk_sagas, rows
from tests.support.desk_sagas import paying
from tests.support.working import Working, working


@pytest.fixture
async def shop(database_url: str) -> AsyncGenerator[Working]:
    desk_sagas.forget()
    async with working(database_url, *desk_sagas.SAGAS) as shop:
        yield shop
    desk_sagas.forget()


async def test_an_alarm_after_the_end_is_taken_as_seen_by_a_retry(shop: Working) -> None:
    """The customer's word comes back; it is audited, nothing else moves, and it may ring again."""
    desk = shop.engine.operator("ann")
    await shop.run(paying, "p", key="p")
    key = rows.effects_of(shop.url, "p")["charge#1", "forward"]["key"]
    contrary = Refused("taken_back", "they say that it never was")
    await shop.engine.witness(key, contrary)
    assert (await desk.find("p")).view == "processing"
    assert "`saga retry p --because" in (await desk.why("p")).sentence
    (finding,) = (await desk.stuck()).findings
    assert (finding.kind, finding.command) == ("alarm", "saga why p")
    preview = await desk.preview("retry", "p")
    assert preview.refused is None
    assert "the alarm is over; the customer sees confirmed, and nothing else is done" in preview.sentence
    before = rows.saga_of(shop.url, "p")
    acted = await desk.retry("p", because="a test of theirs")
    after = rows.saga_of(shop.url, "p")
    assert {name for name in before if before[name] != after[name]} == {"alarm", "revision", "updated_at"}
    assert (acted.status, (await desk.find("p")).view) == ("completed", "confirmed")
    (entry,) = (await desk.show("p")).audit
    assert (entry.act, entry.because) == ("retry", "a test of theirs")
    assert "it did not happen" in entry.body["acknowledged"]
    with pytest.raises(Unsafe, match="only what is parked or asleep"):
        await desk.retry("p", because="again")
    await shop.engine.witness(key, contrary)
    assert (await desk.find("p")).view == "processing"


async def test_the_preview_says_that_what_landed_late_is_undone(shop: Working) -> None:
    """S16: the late effect is undone, nothing else, and the saga ends as it had."""
    desk = shop.engine.operator("ann")
    await shop.parked(paying, "lost", key="p")
    await desk.resolve("p", "charge", landed=False, because="they say so", force=True)
    assert (await desk.wait("p", "10s")).status == "compensated"
    key = rows.effects_of(shop.url, "p")["charge#1", "forward"]["key"]
    await shop.engine.witness(key, Landed({"id": "late"}))
    await rows.until(shop.url, "p", "park_cause = 'landed_late'")
    preview = await desk.preview("compensate", "p")
    assert preview.refused is None
    assert "charge#1 is undone, and nothing else" in preview.sentence
    assert preview.plan is not None
    assert (preview.plan.settle, preview.plan.undo, preview.plan.certain) == ((), ("charge#1",), True)
    await desk.compensate("p", because="b")
    assert (await desk.wait("p", "10s")).status == "compensated"
    assert rows.effects_of(shop.url, "p")["charge#1", "backward"]["status"] == "succeeded"

"""The way forward and back of one saga: what is called how often, in which order, and what is written."""

from __future__ import annotations

import pytest

from saga import Refused, Retry, StepFailed, saga
from tests.support import rows
from tests.support.fakes import Ledger, away, lose_request, make_step, refuse
from tests.support.working import working

ledger = Ledger()
QUICK = Retry(attempts=3, first="1ms", most="2ms")
reserve = make_step(ledger, "reserve", retry=QUICK)
charge = make_step(ledger, "charge", retry=QUICK)
confirm = make_step(ledger, "confirm", undo=False, retry=QUICK)
invoice = make_step(ledger, "invoice", undo=False, retry=QUICK)
look = make_step(ledger, "look", undo=False, probe=False, reads=True, retry=QUICK)


@pytest.fixture(autouse=True)
def empty_ledger() -> None:
    ledger.clear()


@saga("checkout")
async def checkout(order: str) -> str:
    await reserve(order)
    await charge(order)
    return await confirm(order)


@saga("careful")
async def careful(order: str) -> str:
    await reserve(order)
    paid = await charge(order).or_else(lambda: invoice(order))
    await confirm(order).or_none()
    return paid


async def test_the_happy_path_writes_one_row_a_step_and_no_evidence(database_url: str) -> None:
    """Three steps that go well: three effects in order, no evidence, and no more than five shared commits."""
    async with working(database_url, checkout, lanes=1) as w:
        before = w.worker.memory.journals[0].commits
        assert await w.run(checkout) == "a done"
        # A claim with nothing to say may fall between; the saga itself needs claim, three intents and the end.
        row = rows.saga_of(w.url, "k")
        commits = w.worker.memory.journals[0].commits - before
    effects = rows.effects_of(database_url, "k")
    assert list(effects) == [("reserve#1", "forward"), ("charge#1", "forward"), ("confirm#1", "forward")]
    assert [e["attempt"] for e in effects.values()] == [1, 1, 1]
    assert [e["completion"] for e in effects.values()] == [1, 2, 3]
    assert {e["proof"] for e in effects.values()} == {"reply"}
    assert rows.evidence_of(database_url, "k") == []
    assert (row["status"], row["epoch"], row["owner"]) == ("completed", 1, None)
    assert commits <= 5 + 3, "a step costs one wait for one shared commit"
    assert ledger.names() == ["reserve", "charge", "confirm"]


async def test_not_executed_is_tried_again_under_the_same_key(database_url: str) -> None:
    """A service that is away twice and then there: three attempts, one key, one effect, and evidence of each."""
    ledger.plan("charge", away, away)
    async with working(database_url, checkout) as w:
        await w.run(checkout)
    charged = rows.effects_of(database_url, "k")["charge#1", "forward"]
    assert (charged["attempt"], charged["status"]) == (3, "succeeded")
    assert len({key for name, key in ledger.calls if name == "charge"}) == 1
    assert ledger.landed[charged["key"]] == 1
    told = [(e["kind"], e["attempt"]) for e in rows.evidence_of(database_url, "k")]
    assert told == [("intent", 1), ("reply", 1), ("intent", 2), ("reply", 2), ("intent", 3), ("reply", 3)]


async def test_a_refusal_is_undone_in_reverse(database_url: str) -> None:
    """A final no at the last step: what was done before is undone, last first, under keys of their own."""
    ledger.plan("confirm", refuse)
    async with working(database_url, checkout) as w:
        assert await w.ended(checkout) == "declined"
    assert ledger.names() == ["reserve", "charge", "confirm", "undo_charge", "undo_reserve"]
    assert ledger.standing() == 0
    effects = rows.effects_of(database_url, "k")
    assert effects["charge#1", "backward"]["key"] != effects["charge#1", "forward"]["key"]
    row = rows.saga_of(database_url, "k")
    assert row["plan"]["steps"] == ["charge#1", "reserve#1"]
    assert row["error"] == {"cause": "refused", "code": "no", "message": "a refused"}


async def test_an_exhausted_retry_is_try_again(database_url: str) -> None:
    """Three attempts and never executed: nothing stands, and the customer may try again."""
    ledger.plan("charge", away, away, away)
    async with working(database_url, checkout) as w:
        assert await w.ended(checkout) == "try_again"
    assert ledger.names() == ["reserve", "charge", "charge", "charge", "undo_reserve"]
    assert ledger.standing() == 0


async def test_a_first_step_that_is_refused_needs_no_undo(database_url: str) -> None:
    """Nothing was done, so nothing is undone: the saga ends in the write that turns it."""
    ledger.plan("reserve", refuse)
    async with working(database_url, checkout) as w:
        assert await w.ended(checkout) == "declined"
    assert ledger.names() == ["reserve"]
    assert rows.saga_of(database_url, "k")["plan"]["steps"] == []


async def test_or_else_runs_only_when_the_service_could_not_be_had(database_url: str) -> None:
    """A payment service that is down leads to the invoice, and the saga says that it is degraded."""
    ledger.plan("charge", away, away, away)
    async with working(database_url, careful) as w:
        handle = await w.engine.start(careful, "a", key="k")
        assert await handle.result("10s") == "a done"
        view = await handle.view()
    assert "invoice" in ledger.names()
    assert [(d.step, d.reason) for d in view.degraded] == [("charge#1", "the service is away")]


async def test_or_else_does_not_run_on_a_refusal(database_url: str) -> None:
    """By default a final no is no reason for another way: the saga turns."""
    ledger.plan("charge", refuse)
    async with working(database_url, careful) as w:
        assert await w.ended(careful) == "declined"
    assert ledger.names() == ["reserve", "charge", "undo_reserve"]


async def test_or_else_never_runs_while_in_doubt(database_url: str) -> None:
    """A lost request is settled first: the probe says no, the resend lands, and no invoice is made."""
    ledger.plan("charge", lose_request)
    async with working(database_url, careful) as w:
        await w.run(careful)
    assert "invoice" not in ledger.names()
    assert ledger.asked == ["charge"]


@pytest.mark.parametrize("on", [Refused, StepFailed])
async def test_or_else_on_a_refusal_by_choice(database_url: str, on: type[StepFailed]) -> None:
    """`on=Refused` and `on=StepFailed` take the other way on a final no, too."""

    @saga("choosing")
    async def choosing(order: str) -> str:
        return await charge(order).or_else(lambda: invoice(order), on=on)

    ledger.plan("charge", refuse)
    async with working(database_url, choosing) as w:
        assert await w.run(choosing) == "a done"
    assert ledger.names() == ["charge", "invoice"]


async def test_or_none_goes_on_without(database_url: str) -> None:
    """A confirmation that is refused does not undo the order."""
    ledger.plan("confirm", refuse)
    async with working(database_url, careful) as w:
        assert await w.ended(careful) == "confirmed"
    assert ledger.standing() == 2


async def test_a_function_may_refuse_by_itself(database_url: str) -> None:
    """Refused raised by the saga function undoes what was done, and is the answer."""

    @saga("choosy")
    async def choosy(order: str) -> str:
        await reserve(order)
        raise Refused("too_late", "the shop is closed")

    async with working(database_url, choosy) as w:
        assert await w.ended(choosy) == "declined"
    assert ledger.names() == ["reserve", "undo_reserve"]
    assert rows.saga_of(database_url, "k")["error"]["code"] == "too_late"


async def test_a_function_may_catch_a_failure_and_take_another_way(database_url: str) -> None:
    """A caught refusal turns nothing; what the function does then is what happens."""

    @saga("catching")
    async def catching(order: str) -> str:
        try:
            return await charge(order)
        except Refused as refused:
            return await invoice(f"{refused.code}:{order}")

    ledger.plan("charge", refuse)
    async with working(database_url, catching) as w:
        assert await w.run(catching) == "no:a done"


async def test_reads_are_retried_freely_and_never_alarm(database_url: str) -> None:
    """A read whose reply is lost is read again, without a probe; there is nothing to be in doubt about."""
    ledger.plan("look", lose_request, lose_request)

    @saga("reading")
    async def reading(order: str) -> str:
        return await look(order)

    async with working(database_url, reading) as w:
        assert await w.run(reading) == "a done"
    assert ledger.names() == ["look"] * 3
    assert ledger.asked == []


async def test_a_saga_without_steps_ends(database_url: str) -> None:
    """A function that only computes completes in one claim."""

    @saga("computing", steps=[look])
    async def computing(order: str) -> str:
        return order * 2

    async with working(database_url, computing) as w:
        assert await w.run(computing) == "aa"

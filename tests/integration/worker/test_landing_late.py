"""What lands after it was settled as not executed is found, alarmed, and undone or shown to a person (S16, S25)."""

from __future__ import annotations

from typing import Any

from saga import Landed, NotFound, Retry, SagaDefinition, Step, saga
from saga.verify import verify
from tests.support import rows
from tests.support.fakes import Ledger, land, lose_request, make_step, service_of
from tests.support.working import Working, working

ONCE = Retry(attempts=1)


def silent_step(ledger: Ledger, **options: Any) -> Step[[str], str]:
    """A charge whose request is lost, and which quiescence settles within moments."""
    service = service_of(ledger, lateness="50ms", staleness="10ms")
    ledger.plan("charge", lose_request)
    return make_step(
        ledger, "charge", service=service, timeout="100ms", retry=ONCE, watch_for="1h", **options
    )


def saga_of(charge: Step[[str], str]) -> SagaDefinition[str, str]:
    @saga("late")
    async def late(order: str) -> str:
        return await charge(order)

    return late


def land_now(ledger: Ledger, url: str) -> None:
    """The lost request lands after all; and the watch's hour is over at once."""
    (_, key), *_ = ledger.calls
    ledger.results[key] = "a done"
    ledger.landed[key] += 1
    assert rows.execute(url, "UPDATE saga.watch SET next_at = now()") == 1


async def settled_silently(w: Working, definition: SagaDefinition[str, str]) -> None:
    """The saga has ended, because nothing was found when everything must have landed."""
    assert await w.ended(definition) == "try_again"
    (watch,) = rows.select(w.url, "SELECT *, until - opened_at AS length FROM saga.watch")
    assert (watch["step"], watch["length"].total_seconds()) == ("charge#1", 3600)


async def test_s16_a_late_landing_is_undone_where_the_step_says_so(database_url: str) -> None:
    """S16: the watch finds it, the alarm rings, the customer's word is processing until it is undone, then what it was."""
    ledger = Ledger("nothing")
    definition = saga_of(silent_step(ledger, late="compensate"))
    async with working(database_url, definition) as w:
        await settled_silently(w, definition)
        land_now(ledger, w.url)
        await rows.until(w.url, "k", "inbox > 0 AND status = 'compensated' AND alarm IS NULL")
        assert (await w.engine.handle(definition, key="k").view()).status == "try_again"
        assert (await verify(w.engine)).differences == []
    assert ledger.names() == ["charge", "undo_charge"]
    assert ledger.standing() == 0
    assert rows.select(database_url, "SELECT * FROM saga.watch") == []


async def test_s16_the_undo_of_what_landed_late_calms_no_other_alarm(database_url: str) -> None:
    """S16, S23: of an effect before it one more was found than was wanted; that stays to be seen by a person."""
    ledger = Ledger("nothing")
    charge = silent_step(ledger, late="compensate")
    reserve = make_step(ledger, "reserve", service=charge.service)

    @saga("late_and_more")
    async def both(order: str) -> str:
        await reserve(order)
        return await charge(order)

    more = "reserve#1: 1 more landed under its key"
    async with working(database_url, both) as w:
        assert await w.ended(both) == "try_again"
        (_, reserved), (_, charged), *_ = ledger.calls
        await w.engine.witness(reserved, Landed("a done", also=("another",)))
        assert rows.saga_of(w.url, "k")["alarm"] == more
        ledger.results[charged] = "a done"
        ledger.landed[charged] += 1
        assert rows.execute(w.url, "UPDATE saga.watch SET next_at = now()") == 1
        await rows.until(w.url, "k", "inbox > 1 AND status = 'compensated' AND amendment IS NULL AND finished_at IS NOT NULL"
                         " AND EXISTS (SELECT FROM saga.effect WHERE step = 'charge#1' AND direction = 'backward' AND status = 'succeeded')")  # fmt: skip
        assert rows.saga_of(w.url, "k")["alarm"] == more
    assert ledger.standing() == 0


async def test_s16_a_late_landing_waits_for_a_person_where_the_step_says_nothing(database_url: str) -> None:
    """S16: parked as landed late, alarmed, shown as processing and by `stuck`; `compensate` undoes it."""
    ledger = Ledger("nothing")
    definition = saga_of(silent_step(ledger))
    async with working(database_url, definition) as w:
        await settled_silently(w, definition)
        land_now(ledger, w.url)
        row = await rows.parked(w.url, "k")
        assert (row["park_cause"], ledger.standing()) == ("landed_late", 1)
        assert row["alarm"] == "charge#1: it landed late, after it was settled as not executed"
        view = await w.engine.handle(definition, key="k").view()
        assert (view.status, view.needs_person) == ("processing", True)
        stuck = await w.engine.operator("nina").stuck()
        assert "landed" in repr(stuck)
        await w.engine.operator("nina").compensate("k", because="it was charged after all")
        await rows.until(w.url, "k", "status = 'compensated' AND alarm IS NULL")
    assert ledger.standing() == 0
    assert ledger.names() == ["charge", "undo_charge"]


async def test_s16_a_late_landing_behind_a_fallback_is_undone_and_the_saga_stays_completed(
    database_url: str,
) -> None:
    """S16: the function was told "not executed" and went another way; only the late effect is undone."""
    ledger = Ledger("nothing")
    charge = silent_step(ledger, late="compensate")

    @saga("fallback")
    async def fallback(order: str) -> str:
        return await charge(order).or_else(lambda: "an invoice")

    async with working(database_url, fallback) as w:
        assert await w.run(fallback) == "an invoice"
        land_now(ledger, w.url)
        await rows.until(w.url, "k", "inbox > 0 AND status = 'completed' AND alarm IS NULL")
        assert await w.engine.handle(fallback, key="k").result("5s") == "an invoice"
    assert ledger.standing() == 0


async def test_s16_what_lands_while_the_saga_still_runs_is_undone_at_its_end(database_url: str) -> None:
    """S16: the landing is found while a later step is under way; the end waits for its undo."""
    ledger = Ledger("nothing")
    charge = silent_step(ledger, late="compensate")
    holds = make_step(
        ledger,
        "holds",
        undo=False,
        probe=False,
        repeatable=True,
        retry=Retry(attempts=9),
        service=charge.service,
    )

    @saga("meanwhile")
    async def meanwhile(order: str) -> str:
        charged = await charge(order).or_none()
        await holds(order)
        return charged or "an invoice"

    async def land_meanwhile(ledger: Ledger, call: Any, what: str) -> str:
        land_now(ledger, database_url)
        await rows.until(database_url, "k", "alarm IS NOT NULL")
        return await land(ledger, call, what)

    ledger.plan("holds", land_meanwhile)
    async with working(database_url, meanwhile) as w:
        assert await w.run(meanwhile) == "an invoice"
    assert ledger.names() == ["charge", "holds", "undo_charge"]


async def test_s16_a_watch_that_finds_nothing_ends_with_its_time(database_url: str) -> None:
    """S16: one last question after the end of the watch, then it is dropped, and nothing is kept."""
    ledger = Ledger("nothing")
    definition = saga_of(silent_step(ledger))
    async with working(database_url, definition) as w:
        await settled_silently(w, definition)
        asked = len(ledger.asked)
        rows.execute(w.url, "UPDATE saga.watch SET next_at = now(), until = now()")
        await rows.until(w.url, "k", "NOT EXISTS (SELECT 1 FROM saga.watch)")
        assert len(ledger.asked) == asked + 1
    assert rows.saga_of(database_url, "k")["status"] == "compensated"


async def test_s25_a_webhook_settles_a_saga_that_waits_for_a_person(database_url: str) -> None:
    """S25: the news is evidence; the parked saga wakes, and ends as what it proves."""
    ledger = Ledger("nothing")
    ledger.plan("charge", lose_request)
    charge = make_step(ledger, "charge", probe=False, undo=False, at_most_once=True)
    definition = saga_of(charge)
    async with working(database_url, definition) as w:
        await w.parked(definition)
        await w.engine.witness(ledger.calls[0][1], Landed("a done"))
        assert await w.engine.handle(definition, key="k").result("10s") == "a done"
        assert rows.effects_of(w.url, "k")["charge#1", "forward"]["proof"] == "webhook"
        assert (await verify(w.engine)).differences == []


async def test_s25_a_webhook_after_the_end_is_alarmed_and_taken_up(database_url: str) -> None:
    """S25: a landing that contradicts an end is never silent, whoever tells it."""
    ledger = Ledger("nothing")
    definition = saga_of(silent_step(ledger))
    async with working(database_url, definition) as w:
        await settled_silently(w, definition)
        await w.engine.witness(ledger.calls[0][1], Landed("a done"))
        assert (await rows.parked(w.url, "k"))["park_cause"] == "landed_late"


async def test_s25_news_that_contradicts_nothing_changes_nothing(database_url: str) -> None:
    """S25: what was known already is kept, and the end stays the end."""
    ledger = Ledger()
    charge = make_step(ledger, "charge")
    definition = saga_of(charge)
    async with working(database_url, definition) as w:
        assert await w.run(definition) == "a done"
        await w.engine.witness(ledger.calls[0][1], Landed("a done"))
        await w.engine.witness(ledger.calls[0][1], NotFound())
        assert (await w.engine.handle(definition, key="k").view()).status == "confirmed"
    assert [row["kind"] for row in rows.evidence_of(database_url, "k")] == ["webhook", "probe"]


async def test_s23_more_than_one_effect_under_a_key_is_surplus(database_url: str) -> None:
    """S23: the first is kept, the saga parks and alarms; a person who has seen it lets it go on."""
    ledger = Ledger()
    ledger.plan("charge", lose_request)
    ledger.answer("charge", Landed("first", also=("second",)))
    definition = saga_of(make_step(ledger, "charge"))
    async with working(database_url, definition) as w:
        row = await w.parked(definition)
        assert row["park_cause"] == "surplus"
        assert row["alarm"] == 'charge#1: 1 more under its key: "second"'
        await w.engine.operator("nina").retry("k", because="the second was refunded by hand")
        assert await w.engine.handle(definition, key="k").result("10s") == "first"
        assert (await w.engine.handle(definition, key="k").view()).status == "confirmed"

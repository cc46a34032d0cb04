"""Doubt is settled by asking, before any retry and before any compensation; each promise of a service has its own way."""

from __future__ import annotations

from saga import Call, Fenced, NotFound, Pending, Refused, Retry, SagaDefinition, Step, saga, step
from tests.support import rows
from tests.support.fakes import (
    Ledger,
    away,
    lose_reply,
    lose_request,
    make_step,
    refuse,
    service_of,
)
from tests.support.working import working

QUICK = Retry(attempts=4, first="1ms", most="2ms")


def one_step(step: Step[[str], str]) -> SagaDefinition[str, str]:
    """A saga of this one step."""

    @saga("one")
    async def one(order: str) -> str:
        return await step(order)

    return one


async def test_a_lost_reply_is_found_by_the_probe(database_url: str) -> None:
    """The effect happened and its answer was lost: one question, no resend, one effect."""
    ledger = Ledger()
    ledger.plan("charge", lose_reply)
    charge = make_step(ledger, "charge", retry=QUICK)
    async with working(database_url, one_step(charge)) as w:
        assert await w.run(one_step(charge)) == "a done"
    assert (ledger.names(), ledger.asked, ledger.standing()) == (["charge"], ["charge"], 1)
    assert rows.effects_of(database_url, "k")["charge#1", "forward"]["proof"] == "probe"


async def test_a_probe_that_finds_nothing_early_lets_a_deduping_service_be_asked_again(
    database_url: str,
) -> None:
    """Not found proves nothing, but the same key again is harmless where the service dedups (S14)."""
    ledger = Ledger()
    ledger.plan("charge", lose_reply)
    ledger.answer("charge", NotFound())
    charge = make_step(ledger, "charge", retry=QUICK)
    async with working(database_url, one_step(charge)) as w:
        await w.run(one_step(charge))
    assert (ledger.names(), ledger.standing()) == (["charge", "charge"], 1)


async def test_pending_is_asked_until_it_is_not(database_url: str) -> None:
    """A service that is still at it is asked again when it says, and never sent the request again."""
    ledger = Ledger()
    ledger.plan("charge", lose_reply)
    ledger.answer("charge", *[Pending(retry_after=0.01)] * 5)
    charge = make_step(ledger, "charge", retry=QUICK)
    async with working(database_url, one_step(charge)) as w:
        await w.run(one_step(charge))
    assert (ledger.names(), len(ledger.asked), ledger.standing()) == (["charge"], 6, 1)


async def test_fenced_settles_as_not_executed(database_url: str) -> None:
    """A key that the service has fenced never lands: the attempt is over, and another follows."""
    ledger = Ledger("nothing")
    ledger.plan("charge", lose_request)
    ledger.answer("charge", Fenced())
    charge = make_step(ledger, "charge", retry=QUICK, timeout="200ms")
    async with working(database_url, one_step(charge)) as w:
        await w.run(one_step(charge))
    assert (ledger.names(), ledger.standing()) == (["charge", "charge"], 1)


async def test_a_refusal_that_a_probe_tells_is_final_where_it_is_stored(database_url: str) -> None:
    """A service that keeps all replies answers for every attempt: refused, and nothing is sent again."""
    ledger = Ledger()
    ledger.plan("charge", lose_request)
    ledger.answer("charge", Refused("declined", "by the bank"))
    charge = make_step(ledger, "charge", retry=QUICK)
    async with working(database_url, one_step(charge)) as w:
        assert await w.ended(one_step(charge)) == "declined"
    assert (ledger.names(), ledger.standing()) == (["charge"], 0)
    assert rows.saga_of(database_url, "k")["error"]["code"] == "declined"


async def test_a_refusal_that_a_probe_raises_is_no_evidence(database_url: str) -> None:
    """Raised, it is a failed probe; the next question settles it."""
    ledger = Ledger()
    ledger.plan("charge", lose_reply)
    ledger.answer("charge", ConnectionError("the probe's own trouble"))
    charge = make_step(ledger, "charge", retry=QUICK)
    async with working(database_url, one_step(charge)) as w:
        await w.run(one_step(charge))
    assert (ledger.names(), ledger.standing()) == (["charge"], 1)
    told = [
        row["body"].get("answer") for row in rows.evidence_of(database_url, "k") if row["kind"] == "probe"
    ]
    assert told == ["no_answer", "landed"]


async def test_a_service_that_remembers_nothing_is_asked_until_quiet_and_only_then_resent(
    database_url: str,
) -> None:
    """Two questions after every request must have landed, spaced by the staleness, prove it; then a second attempt."""
    ledger = Ledger("nothing")
    ledger.plan("charge", lose_request)
    service = service_of(ledger, lateness="100ms", staleness="50ms")
    charge = make_step(ledger, "charge", retry=QUICK, service=service, timeout="300ms")
    async with working(database_url, one_step(charge)) as w:
        await w.run(one_step(charge))
    assert (ledger.names(), ledger.standing()) == (["charge", "charge"], 1)
    evidence = rows.evidence_of(database_url, "k")
    sent = [row["body"]["at"] for row in evidence if row["kind"] == "intent"]
    quiet = [row["body"]["at"] for row in evidence if row["body"].get("phase") == "quiet"]
    deadline = next(row["body"]["deadline"] for row in evidence if row["kind"] == "intent")
    assert len(quiet) == 2
    assert deadline < quiet[0] < quiet[1] < sent[1], "asked after the deadline, and resent after that"


async def test_a_late_landing_before_quiet_is_seen(database_url: str) -> None:
    """A request that lands after the first question is found by a later one, and nothing is sent again."""
    ledger = Ledger("nothing")
    ledger.plan("charge", lose_reply)
    ledger.answer("charge", NotFound())
    service = service_of(ledger, lateness="200ms", staleness="10ms")
    charge = make_step(ledger, "charge", retry=QUICK, service=service, timeout="200ms")
    async with working(database_url, one_step(charge)) as w:
        await w.run(one_step(charge))
    assert (ledger.names(), ledger.standing()) == (["charge"], 1)


async def test_a_refusal_after_a_doubt_does_not_settle_the_doubt(database_url: str) -> None:
    """S17: unknown, then refused by a service that keeps only successes; the first one landed late and is undone."""
    ledger = Ledger("successes")
    ledger.plan("charge", lose_reply, refuse)
    ledger.answer("charge", NotFound(), NotFound())
    service = service_of(ledger, lateness="100ms", staleness="10ms")
    reserve = make_step(ledger, "reserve", service=service)
    charge = make_step(ledger, "charge", retry=QUICK, service=service, timeout="300ms")
    stop = make_step(ledger, "stop", undo=False, service=service)
    ledger.plan("stop", refuse)

    @saga("s17")
    async def s17(order: str) -> str:
        await reserve(order)
        await charge(order)
        return await stop(order)

    async with working(database_url, s17) as w:
        assert await w.ended(s17) == "declined"
    assert ledger.landed.total() == 2
    assert ledger.standing() == 0, "the charge that landed late is refunded"
    assert ledger.names() == ["reserve", "charge", "charge", "stop", "undo_charge", "undo_reserve"]


async def test_a_doubt_then_a_refusal_then_quiet_is_a_refusal(database_url: str) -> None:
    """S17, the other way: nothing ever landed; probed to quiescence, and then the refusal stands."""
    ledger = Ledger("successes")
    ledger.plan("charge", lose_request, refuse)
    service = service_of(ledger, lateness="50ms", staleness="10ms")
    charge = make_step(ledger, "charge", retry=QUICK, service=service, timeout="200ms")
    async with working(database_url, one_step(charge)) as w:
        assert await w.ended(one_step(charge)) == "declined"
    assert (ledger.names(), ledger.standing()) == (["charge", "charge"], 0)
    assert len(ledger.asked) >= 3


async def test_at_most_once_parks_at_once(database_url: str) -> None:
    """No probe, no dedup: an unknown waits for a person, and is never sent again, not even after a wake-up."""
    ledger = Ledger("nothing")
    ledger.plan("charge", lose_reply)
    charge = make_step(ledger, "charge", probe=False, undo=False, at_most_once=True)
    async with working(database_url, one_step(charge)) as w:
        row = await w.parked(one_step(charge))
        assert row["park_cause"] == "in_doubt"
        assert "nothing can settle it" in row["park_reason"]
        await rows.wake(w.url, "k")
        again = await rows.until(w.url, "k", "status = 'parked' AND epoch > 1")
        view = await w.engine.handle(one_step(charge), key="k").view()
    assert again["park_cause"] == "in_doubt"
    assert (view.status, view.needs_person) == ("processing", True)
    assert ledger.names() == ["charge"]


async def test_repeatable_is_sent_again_without_asking(database_url: str) -> None:
    """A second mail is acceptable: unknown is simply sent again."""
    ledger = Ledger("nothing")
    ledger.plan("mail", lose_reply, lose_request)
    mail = make_step(ledger, "mail", probe=False, undo=False, repeatable=True, retry=QUICK)
    async with working(database_url, one_step(mail)) as w:
        await w.run(one_step(mail))
    assert ledger.names() == ["mail"] * 3


async def test_an_accepted_doubt_goes_on_degraded(database_url: str) -> None:
    """in_doubt="accept": where it would park, the saga goes on with None, and says so."""
    ledger = Ledger("nothing")
    ledger.plan("mail", lose_reply)
    service = service_of(ledger)

    @step(service, timeout="1s", undo="nothing", at_most_once=True, in_doubt="accept")
    async def mail(call: Call, what: str) -> str | None:
        return await ledger.act("mail", call, what)

    @saga("accepting")
    async def accepting(order: str) -> str | None:
        return await mail(order)

    async with working(database_url, accepting) as w:
        handle = await w.engine.start(accepting, "a", key="k")
        assert await handle.result("10s") is None
        view = await handle.view()
    assert view.status == "confirmed"
    assert [d.step for d in view.degraded] == ["mail#1"]
    assert ledger.names() == ["mail"]


async def test_not_executed_on_a_later_attempt_does_not_settle_an_earlier_doubt(database_url: str) -> None:
    """S4: lost, then away twice, then there: the key makes one effect of it."""
    ledger = Ledger()
    ledger.plan("charge", lose_reply, away, away)
    ledger.answer("charge", *[NotFound()] * 3)
    charge = make_step(ledger, "charge", retry=QUICK)
    async with working(database_url, one_step(charge)) as w:
        await w.run(one_step(charge))
    assert ledger.standing() == 1


async def test_no_answer_within_the_budget_parks(database_url: str) -> None:
    """A service whose probe never answers is asked `probes` times, and then a person is told."""
    ledger = Ledger()
    ledger.plan("charge", lose_reply)
    ledger.answer("charge", *[ConnectionError("no answer")] * 9)
    charge = make_step(ledger, "charge", probes=2)
    async with working(database_url, one_step(charge)) as w:
        row = await w.parked(one_step(charge))
        assert row["park_cause"] == "in_doubt"
        assert "2 of 2 probes used" in row["park_reason"]
        assert len(ledger.asked) == 2
        await w.engine.operator("nina").probe("k", "charge")
        row = await rows.until(w.url, "k", "status = 'parked' AND revision > 1")
    assert "2 of 2 probes used" in row["park_reason"], "what a person asked is not taken from the budget"
    assert ledger.names() == ["charge"]

"""What an operator may see and do: each act is compare-and-set, audited, and never a guess (S37-S40)."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

import psycopg
import pytest

from saga import Engine
from saga.dev.processes import wait_until
from saga.errors import InputError, NotFoundError, StillProcessing, Unsafe
from saga.operator import Disagrees, NoWorker, Operator, Overtaken
from saga.store import audit
from tests.support import desk_sagas, rows
from tests.support.desk_sagas import faxing, paying
from tests.support.working import Working, working


@pytest.fixture
async def shop(database_url: str) -> AsyncGenerator[Working]:
    desk_sagas.forget()
    async with working(database_url, *desk_sagas.SAGAS) as shop:
        yield shop
    desk_sagas.forget()


@pytest.fixture
async def desk(database_url: str) -> AsyncGenerator[Operator]:
    """A desk in an office without any worker."""
    async with Engine(database_url, sagas=desk_sagas.SAGAS) as engine:
        yield engine.operator("ann")


async def chain_is_whole(desk: Operator) -> list[audit.Entry]:
    async with desk._engine.connection() as connection:
        entries = await audit.trail(connection, "saga")
    assert audit.broken_at(entries) is None
    return entries


async def test_what_nobody_can_ask_about_is_never_retried_and_always_explained(shop: Working) -> None:
    """S24: it parks at once, `stuck` and `why` say so, and a retry would be a guess, with the definition or without."""
    desk = shop.engine.operator("ann")
    await shop.parked(faxing, "f", key="f")
    (finding,) = (await desk.stuck()).findings
    assert (finding.kind, finding.count, finding.needs_person) == ("in_doubt", 1, True)
    assert "fax" in finding.cause
    assert finding.command == 'saga resolve f fax --landed|--never --because "…"'
    sentence = (await desk.why("f")).sentence
    assert "fax#1 was sent" in sentence
    assert "nothing is scheduled" in sentence
    assert "saga resolve f fax#1" in sentence
    with pytest.raises(Unsafe, match="a guess"):
        await desk.retry("f", because="hurry")
    stranger = Engine(shop.url, sagas=[]).operator("bob")
    with pytest.raises(Unsafe, match="--app"):
        await stranger.retry("f", because="hurry")
    assert await chain_is_whole(desk) == []


async def test_nobody_can_know_that_it_never_landed_before_it_cannot_land_any_more(shop: Working) -> None:
    """S37 with S16: what may still be on its way is told, with the time; who insists answers for it."""
    desk = shop.engine.operator("ann")
    await shop.parked(faxing, "f", key="f")
    with pytest.raises(Unsafe, match=r"fax#1 may still land for \d+ s.*look again after that"):
        await desk.resolve("f", "fax", landed=False, because="they have nothing yet")
    preview = await desk.preview_statement("f", "fax", landed=False)
    assert "may still land" in (preview.refused or "")
    assert rows.saga_of(shop.url, "f")["status"] == "parked"
    await desk.resolve("f", "fax", landed=False, because="they will send it back unread", force=True)
    assert (await desk.wait("f", "10s")).status == "compensated"


@pytest.mark.parametrize(("landed", "status"), [(True, "completed"), (False, "compensated")])
async def test_a_statement_carries_the_saga_to_its_right_end(
    shop: Working, landed: bool, status: str
) -> None:
    """S37: landed goes on with the stated result, never undoes what was done before; who and why are kept."""
    desk = shop.engine.operator("ann")
    await shop.parked(faxing, "f", key="f")
    resolution = await desk.resolve(
        "f", "fax", landed=landed, because="I called them", result="by hand", force=not landed
    )
    assert resolution.acted is not None
    assert resolution.answer is None
    assert (await desk.wait("f", "10s")).status == status
    fax = rows.effects_of(shop.url, "f")["fax#1", "forward"]
    assert fax["by_statement"]
    (entry,) = await chain_is_whole(desk)
    assert (entry.who, entry.act, entry.because) == ("ann", "resolve", "I called them")
    if landed:
        assert rows.saga_of(shop.url, "f")["output"] == "by hand"
    else:
        assert ("charge#1", "backward") in rows.effects_of(shop.url, "f")


async def test_a_stated_result_must_fit_the_step(shop: Working) -> None:
    """A wrong or missing result is refused before anything is written."""
    desk = shop.engine.operator("ann")
    await shop.parked(faxing, "f", key="f")
    with pytest.raises(InputError, match="does not fit step fax"):
        await desk.resolve("f", "fax", landed=True, because="b", result=7)
    with pytest.raises(InputError, match="--result"):
        await desk.resolve("f", "fax", landed=True, because="b")
    with pytest.raises(InputError, match="must say something"):
        await desk.resolve("f", "fax", landed=True, because=" ", result="x")
    assert rows.saga_of(shop.url, "f")["status"] == "parked"


async def test_a_probe_records_evidence_and_changes_nothing_else(shop: Working) -> None:
    """The worker asks now; the saga is as parked as before."""
    desk = shop.engine.operator("ann")
    await shop.parked(paying, "lost", key="p")
    before = len(rows.evidence_of(shop.url, "p"))
    answer = await desk.probe("p", "charge")
    assert answer.answer == "not_found"
    assert len(rows.evidence_of(shop.url, "p")) == before + 1
    await rows.parked(shop.url, "p")
    with pytest.raises(NotFoundError, match="charge#1"):
        await desk.probe("p", "ship")


async def test_a_word_against_the_service_needs_force(shop: Working) -> None:
    """`resolve` asks first: what the service contradicts is not stated, unless forced."""
    desk = shop.engine.operator("ann")
    await shop.parked(paying, "lost", key="p")
    with pytest.raises(Disagrees, match="not found"):
        await desk.resolve("p", "charge", landed=True, because="b", result={"id": "x"})
    resolution = await desk.resolve("p", "charge", landed=True, because="b", result={"id": "x"}, force=True)
    assert resolution.acted is not None
    assert (await desk.wait("p", "10s")).status == "completed"


async def test_a_word_that_the_service_agrees_with_is_stated(shop: Working) -> None:
    """Never, and the service knows nothing: stated, and the saga is undone."""
    desk = shop.engine.operator("ann")
    await shop.parked(paying, "lost", key="p")
    resolution = await desk.resolve("p", "charge", landed=False, because="b", force=True)
    assert resolution.answer is not None
    assert resolution.answer.answer == "not_found"
    assert (await desk.wait("p", "10s")).status == "compensated"


async def test_what_the_service_proves_needs_no_word(shop: Working) -> None:
    """The service says landed: "never" is refused, and "landed" is settled by proof, and audited all the same."""
    desk = shop.engine.operator("ann")
    await shop.parked(paying, "lost", key="p")
    await shop.parked(paying, "lost2", key="q")
    desk_sagas.landed("lost")
    desk_sagas.landed("lost2")
    with pytest.raises(Disagrees, match="landed"):
        await desk.resolve("p", "charge", landed=False, because="b")
    resolution = await desk.resolve("q", "charge", landed=True, because="it is in their list")
    assert resolution.acted is None
    assert (await desk.wait("q", "10s")).status == "completed"
    assert not rows.effects_of(shop.url, "q")["charge#1", "forward"]["by_statement"]
    (entry,) = await chain_is_whole(desk)
    assert entry.body["settled_by"] == "landed"


async def test_a_retry_gives_spent_budgets_anew(shop: Working) -> None:
    """Probes used up, parked; after a retry the service is asked again, and what it says settles it."""
    desk = shop.engine.operator("ann")
    await shop.parked(paying, "lost", key="p")
    desk_sagas.landed("lost")
    await desk.retry("p", because="they are back")
    assert (await desk.wait("p", "10s")).status == "completed"
    assert [e["kind"] for e in rows.evidence_of(shop.url, "p")].count("retry") == 1


async def test_a_bug_is_fixed_and_retried(shop: Working) -> None:
    """Code failed compensates nothing, and goes on after a fix."""
    desk = shop.engine.operator("ann")
    desk_sagas.BUGS.add("b")
    await shop.parked(paying, "b", key="b")
    assert "fix the code" in (await desk.why("b")).sentence
    (finding,) = (await desk.stuck()).findings
    fixed = 'saga retry --name paying --cause code_failed --because "…", once it is fixed'
    assert finding.command == fixed
    desk_sagas.BUGS.clear()
    await desk.retry("b", because="fixed")
    assert (await desk.wait("b", "10s")).status == "completed"
    with pytest.raises(Unsafe, match="only what is parked or asleep"):
        await desk.retry("b", because="again")


async def test_a_cancel_is_requested_and_too_late_after_the_end(shop: Working) -> None:
    """S31: the answer is requested; what has ended cannot be cancelled."""
    desk = shop.engine.operator("ann")
    desk_sagas.BUGS.add("b")
    await shop.parked(paying, "b", key="b")
    await desk.cancel("b", because="the customer left")
    line = await desk.wait("b", "10s")
    assert (line.status, line.view) == ("compensated", "declined")
    with pytest.raises(Unsafe, match="too late"):
        await desk.cancel("b", because="again")


async def test_a_parked_saga_is_compensated_by_a_plan_that_is_shown(shop: Working) -> None:
    """The plan names what is settled first and what is undone; only a parked saga is compensated."""
    desk = shop.engine.operator("ann")
    await shop.parked(faxing, "f", key="f")
    preview = await desk.preview("compensate", "f")
    assert preview.refused is None
    assert preview.plan is not None
    assert (preview.plan.settle, preview.plan.undo, preview.plan.certain) == (("fax#1",), ("charge#1",), True)
    await shop.run(faxing, "ok", key="ok")
    assert (await desk.preview("compensate", "ok")).refused is not None
    with pytest.raises(Unsafe, match="not parked"):
        await desk.compensate("ok", because="b")


async def test_a_refused_refund_that_is_not_done_by_hand_is_abandoned(shop: Working) -> None:
    """S29, S38: a retry would change nothing; abandon ends it and claims nothing."""
    desk = shop.engine.operator("ann")
    desk_sagas.BUGS.add("stubborn")
    await shop.parked(paying, "stubborn", key="s")
    await desk.cancel("s", because="b")
    await rows.until(shop.url, "s", "park_cause = 'compensation_refused'")
    with pytest.raises(Unsafe, match="changes nothing"):
        await desk.retry("s", because="b")
    await desk.abandon("s", because="refunded at the counter")
    line = await desk.wait("s", "1s")
    assert (line.status, line.view) == ("abandoned", "processing")
    assert "abandoned" in (await desk.why("s")).sentence
    assert [e.act for e in await chain_is_whole(desk)] == ["cancel", "abandon"]


async def test_a_refund_that_never_landed_is_sent_anew(shop: Working) -> None:
    """S37: never, said of a compensation, gives it another send; it is named by its own name."""
    desk = shop.engine.operator("ann")
    desk_sagas.BUGS.add("v")
    desk_sagas.VAGUE.add("v")
    await shop.parked(paying, "v", key="v")
    await desk.cancel("v", because="b")
    await rows.until(shop.url, "v", "status = 'parked' AND direction = 'backward'")
    desk_sagas.VAGUE.clear()
    await desk.resolve("v", "refund", landed=False, because="they never got it", force=True)
    assert (await desk.wait("v", "10s")).status == "compensated"
    assert rows.effects_of(shop.url, "v")["charge#1", "backward"]["attempt"] == 2


async def test_without_a_worker_nobody_asks_and_the_way_out_is_named(desk: Operator) -> None:
    """Only workers call services; no worker is an error that says what to start."""
    engine = desk._engine
    async with working(engine.url, *desk_sagas.SAGAS) as shop:
        await shop.parked(paying, "lost", key="p")
    with pytest.raises(NoWorker, match="saga worker run"):
        await desk.probe("p", "charge")
    with pytest.raises(NoWorker):
        await desk.resolve("p", "charge", landed=False, because="b")
    resolution = await desk.resolve("p", "charge", landed=False, because="b", no_probe=True, force=True)
    assert resolution.acted is not None
    assert resolution.acted.status == "ready"
    with pytest.raises(StillProcessing, match="saga why"):
        await desk.wait("p", "10ms")


async def test_of_two_operators_at_once_exactly_one_wins(desk: Operator) -> None:
    """S39: both saw the same revision and wait for the same row; the loser is told who was first."""
    engine = desk._engine
    await engine.start(paying, "a", key="a")
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with psycopg.connect(engine.url) as holder:
        holder.execute("SELECT 1 FROM saga.saga FOR UPDATE")
        acts = [
            asyncio.create_task(desk.cancel("a", because="the customer left")),
            asyncio.create_task(engine.operator("bob").abandon("a", because="tidying up")),
        ]
        await asyncio.to_thread(
            wait_until, lambda: len(rows.select(engine.url, waiting)) == 2, 10, "both wait"
        )
    results = await asyncio.gather(*acts, return_exceptions=True)
    (lost,) = [r for r in results if isinstance(r, BaseException)]
    assert isinstance(lost, Overtaken)
    (entry,) = await chain_is_whole(desk)
    assert f"{entry.who} was first" in str(lost)
    assert entry.because in str(lost)
    assert rows.saga_of(engine.url, "a")["revision"] == 1


async def test_a_revision_that_was_seen_is_the_one_that_is_acted_on(desk: Operator) -> None:
    """Who confirmed an old picture is refused, even if only the saga itself moved."""
    engine = desk._engine
    await engine.start(paying, "a", key="a")
    seen = (await desk.find("a")).revision
    rows.execute(engine.url, "UPDATE saga.saga SET revision = revision + 1")
    with pytest.raises(Overtaken, match="moved meanwhile"):
        await desk.cancel("a", because="b", revision=seen)
    await desk.cancel("a", because="b")


async def test_a_running_saga_is_not_abandoned(desk: Operator) -> None:
    """S38, S39: only its owner may end it."""
    engine = desk._engine
    await engine.start(paying, "a", key="a")
    rows.execute(engine.url, "UPDATE saga.saga SET status = 'running', owner = gen_random_uuid(), lane = 0")
    with pytest.raises(Unsafe, match="only its worker"):
        await desk.abandon("a", because="b")
    (finding,) = (await desk.stuck()).findings
    assert finding.kind == "orphaned"
    assert "silent" in (await desk.why("a")).sentence


async def test_the_audit_is_a_chain_that_shows_what_was_touched(desk: Operator) -> None:
    """Many acts at once leave one chain without gaps; a changed or missing entry is found; the table only grows."""
    engine = desk._engine
    for n in range(8):
        await engine.start(paying, "a", key=f"a{n}")
    await asyncio.gather(
        *(engine.operator(f"op{n}").cancel(f"a{n}", because="all at once") for n in range(8))
    )
    entries = await chain_is_whole(desk)
    assert [e.number for e in entries] == list(range(1, 9))
    assert audit.broken_at([*entries[:3], replace(entries[3], who="eve"), *entries[4:]]) == 4
    assert audit.broken_at([*entries[:3], *entries[4:]]) == 4
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        rows.execute(engine.url, "UPDATE saga.audit SET who = 'eve'")

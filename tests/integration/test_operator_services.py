"""What an operator may say of a service: each act is judged under its lock, audited, and shown wherever it keeps a saga."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from saga import Engine
from saga.errors import InputError, NotFoundError, Unsafe
from saga.operator import Operator
from saga.store import audit
from tests.support import desk_sagas, rows
from tests.support.desk_sagas import paying
from tests.support.shell import APP, Shell
from tests.support.working import Working, working

SERVICE = paying.steps["charge"].service.name


@pytest.fixture
async def shop(database_url: str) -> AsyncGenerator[Working]:
    desk_sagas.forget()
    async with working(database_url, *desk_sagas.SAGAS) as shop:
        yield shop
    desk_sagas.forget()


@pytest.fixture
def shell(database_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.delenv("SAGA_DATABASE_URL", raising=False)
    monkeypatch.delenv("SAGA_APP", raising=False)
    monkeypatch.setenv("SAGA_USER", "ann")
    desk_sagas.forget()
    return Shell(database_url, capsys)


async def entries(desk: Operator) -> list[audit.Entry]:
    async with desk._engine.connection() as connection:
        found = await audit.trail(connection, "saga")
    assert audit.broken_at(found) is None
    return found


async def heard(shop: Working) -> None:
    """The worker has read how services stand: a chore of every round, now and not within half a second."""
    async with shop.engine.connection() as connection:
        await shop.worker.services.round(connection)


async def test_a_hold_keeps_sagas_and_says_so_until_it_is_over(shop: Working) -> None:
    """`why` and `stuck` name who holds it and why; nothing is called; behind the hold the saga goes on."""
    desk = shop.engine.operator("ann")
    acted = await desk.services.hold(SERVICE, because="they migrate")
    assert (acted.line.held_by, acted.line.held_because) == ("ann", "they migrate")
    await heard(shop)
    handle = await shop.engine.start(paying, "p", key="p")
    await rows.until(shop.url, "p", f"status = 'asleep' AND waiting_for = 'service {SERVICE}'")
    sentence = (await desk.why("p")).sentence
    assert f"p waits for service {SERVICE}, which is held by ann" in sentence
    assert "because: they migrate" in sentence
    (finding,) = (await desk.stuck()).findings
    assert (finding.kind, finding.count, finding.needs_person) == ("held", 1, True)
    assert finding.command == f'saga service unhold {SERVICE} --because "…"'
    assert rows.effects_of(shop.url, "p") == {}
    await desk.services.unhold(SERVICE, because="they are done")
    assert (await handle.view(wait="20s")).status == "confirmed"
    assert [(e.act, e.who, e.because, e.saga_id) for e in await entries(desk)] == [
        ("service hold", "ann", "they migrate", None),
        ("service unhold", "ann", "they are done", None),
    ]


async def test_a_service_that_is_opened_by_hand_is_closed_by_hand(shop: Working) -> None:
    """Also one without a breaker; what waits is listed as moving by itself."""
    desk = shop.engine.operator("ann")
    acted = await desk.services.open(SERVICE, because="their page is red")
    assert acted.line.state == "open"
    await heard(shop)
    handle = await shop.engine.start(paying, "p", key="p")
    await rows.until(shop.url, "p", f"waiting_for = 'service {SERVICE}'")
    (finding,) = (await desk.stuck()).findings
    assert (finding.kind, finding.needs_person) == ("let_alone", False)
    assert "ann says: their page is red" in finding.cause
    assert "a canary goes in" in (await desk.why("p")).sentence
    await desk.services.close(SERVICE, because="it is green")
    assert (await handle.view(wait="20s")).status == "confirmed"


async def test_what_is_so_already_is_refused(shop: Working) -> None:
    """Whoever asks for it has not seen how it stands; nothing is audited."""
    desk = shop.engine.operator("ann")
    with pytest.raises(Unsafe, match="not held"):
        await desk.services.unhold(SERVICE, because="x")
    with pytest.raises(Unsafe, match="closed already"):
        await desk.services.close(SERVICE, because="x")
    await desk.services.hold(SERVICE, because="first")
    with pytest.raises(Unsafe, match="held already, by ann, because: first"):
        await shop.engine.operator("bob").services.hold(SERVICE, because="second")
    assert (await desk.services.preview("hold", SERVICE)).refused is not None
    with pytest.raises(InputError, match="because"):
        await desk.services.open(SERVICE, because=" ")
    assert len(await entries(desk)) == 1


async def test_of_two_operators_at_once_one_holds_it(shop: Working) -> None:
    """The other is told who was first."""
    desks = [shop.engine.operator(who) for who in ("ann", "bob")]
    acts = [desk.services.hold(SERVICE, because="x") for desk in desks]
    done = await asyncio.gather(*acts, return_exceptions=True)
    assert sum(isinstance(one, Unsafe) for one in done) == 1
    assert len(await entries(desks[0])) == 1


async def test_a_name_that_no_code_has_is_refused(shop: Working, database_url: str) -> None:
    """With the definitions at hand it is a typo; without them nobody can tell, and the preview is all there is."""
    with pytest.raises(NotFoundError, match=SERVICE):
        await shop.engine.operator("ann").services.hold("pps", because="x")
    async with Engine(database_url, sagas=[]) as stranger:
        assert (await stranger.operator("bob").services.preview("hold", "pps")).refused is None


def test_the_command_line_shows_asks_and_acts(shell: Shell) -> None:
    """--dry-run changes nothing; without --yes and a terminal it is refused; list is for people and for programs."""
    dry = shell("service", "hold", SERVICE, "--because", "x", "--dry-run", "-o", "json")
    assert dry.data["refused"] is None
    assert "is called no more" in dry.data["would"]
    assert shell("service", "hold", SERVICE, "--because", "x").code == 5
    assert shell("service", "list", "-o", "json").data["services"] == []
    held: Any = shell("service", "hold", SERVICE, "--because", "they migrate", "--yes", "-o", "json")
    assert (held.code, held.data["held_by"], held.data["audit"]) == (0, "ann", 1)
    table = shell("service", "list", "--app", APP)
    assert "! held" in table.out
    assert "they migrate" in table.out
    assert "✓ closed" in table.out
    assert shell("service", "hold", SERVICE, "--because", "x", "--yes").code == 5
    assert shell("service", "hold", SERVICE, "--because", " ", "--yes").code == 2
    assert shell("service", "unhold", "nobody", "--because", "x", "--yes", "--app", APP).code == 3
    assert "half-open" in shell("service", "unhold", SERVICE, "--because", "done", "--yes").out

"""The page for 3 am shows what the commands really print, against sagas that are really parked."""

from __future__ import annotations

import asyncio
import re
import sys

import pytest
import structlog

from saga import Landed
from saga.core.model import ParkCause
from saga_worker import Worker
from tests.docs import consoles, night_shop
from tests.docs.night_shop import night
from tests.support import repository, rows

PAGE = repository.ROOT / "docs" / "operations.md"


def psp_answers_again() -> None:
    night.psp_is_silent = False


def stock_is_back() -> None:
    night.stock_is_down = False


def fix_with_gift_wrap_is_deployed() -> None:
    night.bug_is_fixed = night.gift_wrap_is_deployed = True


def a_deposit_lands_late() -> None:
    """The service's webhook tells of it, after the rental has ended."""
    engine = night_shop.engine
    engine.blocking.wait_for(engine.witness(night.deposit_key, Landed("dep_7770")))
    asyncio.run(rows.parked(engine.url, night_shop.LATE))


HAPPENINGS = {
    one.__name__: one
    for one in (psp_answers_again, stock_is_back, fix_with_gift_wrap_is_deployed, a_deposit_lands_late)
}


async def test_the_commands_print_what_the_page_shows(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command of the page is run in its order, and its output is compared."""
    monkeypatch.setenv("SAGA_DATABASE_URL", database_url)
    monkeypatch.setenv("SAGA_USER", "ada")
    monkeypatch.setitem(sys.modules, "shop.app", night_shop)  # as the page calls it
    engine = night_shop.engine
    engine.use(database_url)
    with structlog.testing.capture_logs():
        async with engine, Worker(engine, lease="5s"):
            for definition, keys in night_shop.TROUBLES:
                for key in keys:
                    await engine.start(definition, key, key=key)
                    await rows.parked(database_url, key)
            rental = await engine.start(night_shop.rental, night_shop.LATE, key=night_shop.LATE)
            assert (await rental.view(wait="20s")).status == "try_again"
            page = await asyncio.to_thread(consoles.play, PAGE.read_text(), HAPPENINGS)
    consoles.compare(PAGE, page)


@pytest.mark.parametrize("cause", ParkCause)
def test_every_cause_of_parking_has_its_section(cause: ParkCause) -> None:
    """Whatever `saga stuck` may show, the page says what it means, what is safe, and a command."""
    word = cause.value.replace("_", " ")
    section = re.search(rf"^### {word}\n(.*?)(?=^##|\Z)", PAGE.read_text().lower(), re.DOTALL | re.MULTILINE)
    assert section is not None, f"there is no section {word!r}"
    for part in ("**means.**", "**safe.**", "`saga "):
        assert part in section[1], f"{word}: {part}"

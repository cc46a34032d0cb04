"""The page about code changes shows what `saga check` really prints, against sagas that are really open."""

from __future__ import annotations

import asyncio
import sys
from functools import partial

import pytest

from saga import Engine
from saga_worker import Worker
from tests.docs import consoles, next_shop
from tests.support import repository, rows

PAGE = repository.ROOT / "docs" / "changing-code.md"
HAPPENINGS = {
    "version_1_is_changed": partial(next_shop.release, "tomorrow"),
    "version_2_stands_beside_it": partial(next_shop.release, "beside"),
    "version_1_is_dropped": partial(next_shop.release, "alone"),
}


async def test_the_commands_print_what_the_page_shows(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One order has reserved and waits for the bank, another was just started; three releases are asked about them."""
    monkeypatch.setenv("SAGA_DATABASE_URL", database_url)
    monkeypatch.setitem(sys.modules, "shop.app", next_shop)  # as the page calls it
    next_shop.release("today")
    async with Engine(database_url, sagas=[next_shop.today]) as engine:
        async with Worker(engine, lease="5s"):
            await engine.start(next_shop.today, "order:7801", key="order:7801")
            await rows.until(database_url, "order:7801", "status = 'asleep'")
        await engine.start(next_shop.today, "order:7802", key="order:7802")
    page = await asyncio.to_thread(consoles.play, PAGE.read_text(), HAPPENINGS)
    consoles.compare(PAGE, page)

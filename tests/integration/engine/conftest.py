"""An engine that serves the smallest saga, whose ledger is empty at the beginning of each test."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from saga import Engine
from tests.support.checkout import checkout, ledger


@pytest.fixture(autouse=True)
def empty_ledger() -> None:
    ledger.clear()


@pytest.fixture
async def engine(database_url: str) -> AsyncGenerator[Engine]:
    async with Engine(database_url, sagas=[checkout]) as made:
        yield made

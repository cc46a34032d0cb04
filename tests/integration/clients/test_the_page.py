"""docs/classification.md says what the real clients do, measured anew; an unsound claim fails before it is compared."""

import re

import pytest

from tests.support import repository
from tests.support.clients import page

PAGE = repository.ROOT / "docs" / "classification.md"


@pytest.mark.parametrize("name", page.SECTIONS)
async def test_the_page_says_what_the_clients_do(name: str, database_url: str) -> None:
    """Each table is what is measured: `python -m tests.support.clients.page > docs/classification.md`."""
    measured = (await page.SECTIONS[name](database_url)).splitlines()
    written = PAGE.read_text().splitlines()
    start = written.index(measured[0])
    assert [stable(row) for row in measured] == [
        stable(row) for row in written[start : start + len(measured)]
    ]


def stable(row: str) -> str:
    """A row as it is on every machine: which exception a reset gives is a race of two packets, its proof is not."""
    return re.sub(r"\b([NFUS]) [A-Z]\w+", r"\1", row) if "reset" in row else row


def test_what_stands_between_the_tables_is_made_too() -> None:
    """Nobody writes into the page by hand."""
    text = PAGE.read_text()
    for passage in page.PAGE.split("\n{")[1:]:
        assert passage.partition("}")[2].strip() in text
    assert page.PAGE.partition(" Measured with")[0] in text

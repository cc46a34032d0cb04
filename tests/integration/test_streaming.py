"""The home page whose services fail: run as a program, its pages and playback's ledger compared."""

from __future__ import annotations

import re

import pytest

from tests.support.telling import Endings, told, without

pytestmark = pytest.mark.xdist_group("streaming")
VISITS = [f"visit-{number}" for number in range(1, 7)]


@pytest.fixture(scope="module")
def page() -> tuple[str, Endings]:
    """The example, told once, for all the tests of this file."""
    return told("streaming")


def test_the_page_is_shown_and_playback_is_never_touched(page: tuple[str, Endings]) -> None:
    """Every visit is confirmed with exactly one stream, and none was closed: also where playback's answer was lost."""
    endings = page[1]
    assert list(endings) == VISITS
    for visit in VISITS:
        assert endings[visit]["word"] == "confirmed"
        assert endings[visit]["ledgers"] == {"stream": 1, "closing": 0}
        assert endings[visit]["result"]["playing"] == "Night Train"


def test_each_piece_that_fails_has_its_own_fallback(page: tuple[str, Endings]) -> None:
    """Popular titles for recommendations, the last good value for search, and the view says which it was."""
    endings = page[1]
    assert [without(endings[visit]) for visit in VISITS] == [
        {},
        {"recommend#1": False},
        {"find#1": True},
        {"find#1": False},
        {"recommend#1": False, "find#1": True},
        {},
    ]
    rows = {visit: [row["heading"] for row in endings[visit]["result"]["rows"]] for visit in VISITS}
    assert rows["visit-2"] == ["Popular now", "Found for “night”"]
    assert rows["visit-3"] == ["For bob", "Found for “night”"]
    assert rows["visit-4"] == ["For bob", "Search is not there at the moment"]
    assert endings["visit-6"]["result"]["rows"] == [
        {"heading": "For ann", "titles": ["Night Train", "The Cartographer", "A Quiet Year"]},
        {"heading": "Found for “night”", "titles": ["Night Train"]},
    ]


def test_the_telling_shows_what_the_viewer_sees(page: tuple[str, Endings]) -> None:
    """The page, what it does without and why, and how old it is."""
    printed = page[0]
    assert printed.count("playing: Night Train") == len(VISITS)
    assert "without recommend#1: ConnectError" in printed
    assert re.search(r"without find#1: ReadTimeout.*; shown is what it said \d+\.\d s before", printed)

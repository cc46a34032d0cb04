"""The ride whose services fail: run as a program, its endings and the ledger of matching compared."""

from __future__ import annotations

import re

import pytest

from tests.support.telling import Endings, told, without

pytestmark = pytest.mark.xdist_group("ride")
MATCHED = ("ride-1", "ride-2", "ride-4", "ride-5")


@pytest.fixture(scope="module")
def rides() -> tuple[str, Endings]:
    """The example, told once, for all the tests of this file."""
    return told("ride")


def test_matching_works_whatever_fails_around_it(rides: tuple[str, Endings]) -> None:
    """One driver a ride and nobody let go: without the map, without a price, and where its own answer was lost."""
    endings = rides[1]
    for ride in MATCHED:
        assert endings[ride]["word"] == "confirmed"
        assert endings[ride]["ledgers"] == {"match": 1, "release": 0}


def test_the_map_gives_the_last_known_place_and_pricing_an_estimate(rides: tuple[str, Endings]) -> None:
    """And the view says which ride does without what."""
    endings = rides[1]
    assert [without(endings[ride]) for ride in MATCHED] == [
        {},
        {"locate#1": True},
        {"quote#1": False},
        {"locate#1": True, "quote#1": False},
    ]
    results = {ride: endings[ride]["result"] for ride in MATCHED}
    streets = [results[ride]["place"]["street"] for ride in MATCHED]
    prices = [(results[ride]["price"]["amount"], results[ride]["price"]["estimated"]) for ride in MATCHED]
    assert streets == ["Mill Lane", "Mill Lane", "High Street", "High Street"]
    assert prices == [("24.00", False), ("24.00", False), ("21.00", True), ("21.00", True)]


def test_no_place_is_made_up(rides: tuple[str, Endings]) -> None:
    """A rider whom the map never saw is told to try again, and nobody was matched."""
    ending = rides[1]["ride-3"]
    assert (ending["word"], ending["degraded"]) == ("try_again", [])
    assert ending["ledgers"] == {"match": 0, "release": 0}


def test_the_telling_shows_what_the_rider_sees(rides: tuple[str, Endings]) -> None:
    """The ride, what it does without and why, and how old it is."""
    printed = rides[0]
    assert "ann: " in printed
    assert "comes to Mill Lane, for 24.00" in printed
    assert "comes to High Street, for about 21.00" in printed
    assert re.search(r"without locate#1: ConnectError.*; shown is what it said \d+\.\d s before", printed)

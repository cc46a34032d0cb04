"""The travel booking of the disaster story: run as a program, its ledgers and every word the customer saw compared."""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from examples.checkout.processes import child_environment
from tests.support import repository

Stories = dict[str, dict[str, Any]]
KINDS = ("seat", "cancel_seat", "room", "cancel_room", "charge", "refund")


def only(**effects: int) -> Mapping[str, int]:
    return {**dict.fromkeys(KINDS, 0), **effects}


@pytest.fixture(scope="module")
def told() -> subprocess.CompletedProcess[str]:
    """The example, told once, for all the tests of this file."""
    return subprocess.run(
        [sys.executable, "-m", "examples.travel", "--json"],
        cwd=repository.ROOT,
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )


@pytest.fixture(scope="module")
def stories(told: subprocess.CompletedProcess[str]) -> Stories:
    assert told.returncode == 0, told.stdout + told.stderr
    return {one["story"]: one for one in json.loads(told.stdout.splitlines()[-1])["stories"]}


pytestmark = pytest.mark.xdist_group("travel")


def test_a_lost_reply_leads_to_one_charge_and_a_confirmed_trip(stories: Stories) -> None:
    """The payment charged and its reply was lost: it is asked and not charged again."""
    assert stories["trip-1"]["ledgers"] == only(seat=1, room=1, charge=1)
    assert stories["trip-1"]["words"] == ["processing", "confirmed"]


def test_a_refusal_while_others_are_in_doubt_undoes_what_landed_once(stories: Stories) -> None:
    """S26: the hotel refuses while seat and money are in doubt; both are found, then each is undone exactly once."""
    assert stories["trip-2"]["ledgers"] == only(seat=1, cancel_seat=1, charge=1, refund=1)
    assert stories["trip-2"]["words"] == ["processing", "declined"]


def test_a_charge_that_did_not_happen_is_not_refunded(stories: Stories) -> None:
    """S28: the hotel refuses while the money is in doubt; none was taken, and nothing is given back."""
    assert stories["trip-3"]["ledgers"] == only(seat=1, cancel_seat=1)
    assert stories["trip-3"]["words"] == ["processing", "declined"]


def test_a_killed_worker_leads_to_one_charge_and_a_confirmed_trip(stories: Stories) -> None:
    """S9: kill -9 between the charge and its reply; the next worker asks."""
    assert stories["trip-4"]["ledgers"] == only(seat=1, room=1, charge=1)
    assert stories["trip-4"]["words"] == ["processing", "confirmed"]


def test_the_customer_is_told_of_each_moment(told: subprocess.CompletedProcess[str]) -> None:
    """Wherever something is in doubt, the telling shows the customer's word for it."""
    moments = told.stdout.split("the customer sees: ")[1:]
    words = [moment.split("\n", 1)[0] for moment in moments]
    assert words == ["processing", "confirmed", *["processing"] * 2, "declined", "processing", "declined",
                     "processing", "confirmed"]  # fmt: skip
    assert "its answer was lost" in told.stdout

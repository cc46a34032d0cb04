"""Branches that run at once, killed in the middle: a replay with other latencies takes the same way."""

from __future__ import annotations

import pytest

from examples.checkout.orders import SOLD_OUT
from examples.checkout.services.control import Point, Services
from tests.support.crew import Crew
from tests.support.doors import Doors
from tests.support.fire import purchase_of_two
from tests.support.ledgers import assert_bought, assert_undone
from tests.support.stage import Stage


@pytest.mark.parametrize(("slow", "fast", "gift"), [("a", "b", "lamp"), ("b", "a", SOLD_OUT)])
def test_killed_twice_with_other_latencies_each_time(
    stage: Stage, crew: Crew, services: Services, doors: Doors, order: str, *, slow: str, fast: str, gift: str
) -> None:
    """One branch overtakes the other, the worker dies, the next dies after both: nothing is called again or changed."""
    first = crew.hire()
    doors.close("reserve", f"{order}-{slow}")
    doors.close("charge", f"{order}-{slow}")
    doors.close("reserve", order)
    stage.start(purchase_of_two, order, gift=gift)
    doors.wait_held("reserve", f"{order}-{slow}")
    stage.wait_settled(order, 2)  # the fast branch is through
    doors.open("reserve", f"{order}-{slow}")
    doors.wait_held("charge", f"{order}-{slow}")
    first.kill()
    second = crew.hire()
    doors.open("charge", f"{order}-{slow}")
    doors.wait_held("reserve", order)
    second.kill()
    third = crew.hire()
    doors.open("reserve", order)
    ended = stage.wait_for(order, "completed", "compensated", "parked")
    assert ended["status"] == ("completed" if gift != SOLD_OUT else "compensated"), ended["park_reason"]
    for side in (slow, fast):
        (assert_bought if gift != SOLD_OUT else assert_undone)(services, f"{order}-{side}")
    again = {(k.name, k.order) for k in doors.knocks_of(third.pid)} - {("reserve", order), ("invoice", order)}
    assert {name for name, _ in again} <= {"refund", "release"}, "what was settled was called again"


def test_both_calls_in_flight(stage: Stage, crew: Crew, services: Services, order: str) -> None:
    """Killed with two charges out there, one landed and one not: each is settled by its own key."""
    first = crew.hire()
    services.payment.close_gate("charge", Point.BEFORE)
    services.payment.close_gate("charge", Point.AFTER)
    stage.start(purchase_of_two, order)
    services.payment.wait_held("charge", Point.BEFORE)
    services.payment.wait_held("charge", Point.AFTER)
    first.kill()
    crew.hire()
    stage.wait_for(order, "completed")
    services.payment.open_gate("charge", Point.BEFORE)
    services.payment.open_gate("charge", Point.AFTER)
    for side in ("a", "b"):
        assert_bought(services, f"{order}-{side}")


@pytest.mark.parametrize("point", list(Point))
def test_one_branch_is_refused_while_the_other_is_in_flight(
    stage: Stage, crew: Crew, services: Services, doors: Doors, order: str, *, point: Point
) -> None:
    """Killed after one branch was refused, with the other's charge out there: it settles to one, and all is undone."""
    first = crew.hire()
    services.payment.fault("charge", "refuse", order=f"{order}-b")
    doors.close("charge", f"{order}-b")
    services.payment.close_gate("charge", point)
    stage.start(purchase_of_two, order)
    services.payment.wait_held("charge", point)
    doors.wait_held("charge", f"{order}-b")
    doors.open("charge", f"{order}-b")
    stage.wait_settled(order, 3)
    first.kill()
    crew.hire()
    stage.wait_for(order, "compensated")
    services.payment.open_gate("charge", point)
    assert_undone(services, f"{order}-b", charges=0)
    assert_undone(services, f"{order}-a")

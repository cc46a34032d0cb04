"""kill -9 of a worker at every point of an attempt's life: the next worker ends the saga, and the ledgers are right.

The points are made by locks in Postgres (the worker waits in the very statement), by gates in the services, and by
doors in the bodies of the steps. Nothing in the engine knows that it is tested.
"""

from __future__ import annotations

import pytest

from examples.checkout.orders import SOLD_OUT
from examples.checkout.services.control import Point, Services
from tests.support.crew import Crew, CrewMember
from tests.support.doors import Doors
from tests.support.fire import purchase
from tests.support.ledgers import assert_bought, assert_undone
from tests.support.stage import Stage

NO_WRITES = "LOCK TABLE saga.effect IN EXCLUSIVE MODE"
INTENT, OUTCOME = 'INSERT INTO "saga".effect', 'UPDATE "saga".effect'
GHOSTS = pytest.mark.parametrize("ghost", [False, True], ids=["rolled back", "committed by a ghost"])


def kill_while_it_waits(stage: Stage, worker: CrewMember, statement: str, *, ghost: bool) -> None:
    """Kill a worker that waits in a statement behind our lock.

    ghost: let go at once, while its backend still waits with the rest of the transaction in hand, and COMMIT too.
    """
    backend = stage.wait_waiting(statement)
    worker.kill()
    if not ghost:
        stage.wait_backend_gone(backend)


@GHOSTS
def test_before_the_intents_commit(
    stage: Stage, crew: Crew, services: Services, order: str, *, ghost: bool
) -> None:
    """Killed while the intent is being written: whether it was or not, one reservation and one charge follow."""
    first = crew.hire()
    stage.wait_registered(first.pid)
    with stage.held(NO_WRITES):
        stage.start(purchase, order)
        kill_while_it_waits(stage, first, INTENT, ghost=ghost)
    crew.hire()
    stage.wait_for(order, "completed")
    assert_bought(services, order)


def test_after_the_commit_and_before_the_send(
    stage: Stage, crew: Crew, services: Services, doors: Doors, order: str
) -> None:
    """Killed with the intent durable and nothing sent: the next worker asks, hears of nothing, and charges once."""
    first = crew.hire()
    doors.close("charge", order)
    stage.start(purchase, order)
    doors.wait_held("charge", order)
    first.kill()
    assert services.payment.book().arrivals("charge", order) == []
    crew.hire()
    stage.wait_for(order, "completed")
    assert_bought(services, order)
    assert [e["kind"] for e in stage.evidence(order) if e["step"] == "charge#1"][:2] == ["intent", "lost"]


@pytest.mark.parametrize("point", list(Point))
def test_after_the_send(stage: Stage, crew: Crew, services: Services, order: str, point: Point) -> None:
    """Killed with the request out there: booked already, or landing after the next worker's, it is one charge."""
    first = crew.hire()
    services.payment.close_gate("charge", point)
    stage.start(purchase, order)
    services.payment.wait_held("charge", point)
    first.kill()
    crew.hire()
    stage.wait_for(order, "completed")
    services.payment.open_gate("charge", point)
    assert_bought(services, order)
    sends = services.payment.book().arrivals("charge", order)
    assert len(sends) == (
        2 if point is Point.BEFORE else 1
    )  # what has landed is found by asking, and not sent again


@GHOSTS
def test_after_the_reply_and_before_its_commit(
    stage: Stage, crew: Crew, services: Services, order: str, *, ghost: bool
) -> None:
    """Killed with the reply in hand, in the commit of outcome and next intent: the charge is found, not repeated."""
    first = crew.hire()
    services.payment.close_gate("charge", Point.AFTER)
    stage.start(purchase, order)
    services.payment.wait_held("charge", Point.AFTER)
    with stage.held(NO_WRITES):
        services.payment.open_gate("charge", Point.AFTER)
        kill_while_it_waits(stage, first, OUTCOME, ghost=ghost)
    crew.hire()
    stage.wait_for(order, "completed")
    assert_bought(services, order)
    assert len(services.payment.book().arrivals("charge", order)) == 1


def test_after_that_commit_and_before_the_next_send(
    stage: Stage, crew: Crew, services: Services, doors: Doors, order: str
) -> None:
    """Killed with the charge settled and the next intent durable: the charge is never asked about again."""
    first = crew.hire()
    doors.close("invoice", order)
    stage.start(purchase, order)
    doors.wait_held("invoice", order)
    assert stage.effects(order)["charge#1", "forward"]["status"] == "succeeded"
    first.kill()
    crew.hire()
    stage.wait_for(order, "completed")
    assert_bought(services, order)
    assert services.payment.book().arrivals("status:charge", order) == []
    assert len(services.notification.book().of("mail", order)) == 1


@pytest.mark.parametrize("name", ["refund", "release"])
def test_before_a_compensation_is_sent(
    stage: Stage, crew: Crew, services: Services, doors: Doors, order: str, *, name: str
) -> None:
    """Killed in the middle of the way back, before a send: everything is undone once, in the plan's order."""
    first = crew.hire()
    doors.close(name, order)
    stage.start(purchase, order, gift=SOLD_OUT)
    doors.wait_held(name, order)
    first.kill()
    crew.hire()
    stage.wait_for(order, "compensated")
    assert_undone(services, order)
    after = [k.name for k in doors.knocks(order) if k.name in {"refund", "release"} and k.pid != first.pid]
    assert after == (["refund", "release"] if name == "refund" else ["release"])


@pytest.mark.parametrize(
    ("service", "operation", "point"),
    [
        ("payment", "refund", Point.BEFORE),
        ("payment", "refund", Point.AFTER),
        ("inventory", "release", Point.AFTER),
    ],
)
def test_with_a_compensation_in_flight(
    stage: Stage, crew: Crew, services: Services, order: str, *, service: str, operation: str, point: Point
) -> None:
    """Killed with an undo out there: it is asked about like everything else, and nothing is undone twice."""
    gate = getattr(services, service)
    first = crew.hire()
    gate.close_gate(operation, point)
    stage.start(purchase, order, gift=SOLD_OUT)
    gate.wait_held(operation, point)
    first.kill()
    crew.hire()
    stage.wait_for(order, "compensated")
    gate.open_gate(operation, point)
    assert_undone(services, order)


@GHOSTS
def test_in_the_commit_that_turns_the_saga(
    stage: Stage, crew: Crew, services: Services, doors: Doors, order: str, *, ghost: bool
) -> None:
    """Killed in the commit that freezes the plan: the plan is frozen once, and everything in it is undone once."""
    first = crew.hire()
    doors.close("charge", order)
    stage.start(purchase, order, gift=SOLD_OUT)
    doors.wait_held("charge", order)
    services.inventory.close_gate("reserve", Point.AFTER)
    doors.open("charge", order)
    services.inventory.wait_held("reserve", Point.AFTER)
    with stage.held(NO_WRITES):
        services.inventory.open_gate("reserve", Point.AFTER)
        kill_while_it_waits(stage, first, OUTCOME, ghost=ghost)
    crew.hire()
    stage.wait_for(order, "compensated")
    assert_undone(services, order)


@GHOSTS
def test_in_the_commit_of_an_undone_step(
    stage: Stage, crew: Crew, services: Services, order: str, *, ghost: bool
) -> None:
    """Killed in the commit that carries a refund's outcome and the release's intent: both happen once."""
    first = crew.hire()
    services.payment.close_gate("refund", Point.AFTER)
    stage.start(purchase, order, gift=SOLD_OUT)
    services.payment.wait_held("refund", Point.AFTER)
    with stage.held(NO_WRITES):
        services.payment.open_gate("refund", Point.AFTER)
        kill_while_it_waits(stage, first, OUTCOME, ghost=ghost)
    crew.hire()
    stage.wait_for(order, "compensated")
    assert_undone(services, order)
    assert len(services.payment.book().arrivals("refund", order)) == 1

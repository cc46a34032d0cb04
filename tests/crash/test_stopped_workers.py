"""SIGTERM: a worker that drains gives its sagas back, and relies on nobody having waited for it."""

from __future__ import annotations

import pytest

from examples.checkout.services.control import Point, Services
from saga.definition import SagaDefinition
from tests.support.crew import Crew
from tests.support.doors import Doors
from tests.support.fire import purchase, purchase_keyless, purchase_patient
from tests.support.ledgers import assert_bought
from tests.support.stage import Stage
from tests.support.till import Purchase


def test_a_call_in_flight_ends_and_the_saga_is_given_back(
    stage: Stage, crew: Crew, services: Services, doors: Doors, order: str
) -> None:
    """Stopped in mid-call: the reply is taken and kept, nothing new begins, another worker needs no lease to pass."""
    first = crew.hire(lease="60s")
    services.payment.close_gate("charge", Point.AFTER)
    stage.start(purchase, order)
    services.payment.wait_held("charge", Point.AFTER)
    first.terminate()
    stage.wait_draining(first.pid)
    services.payment.open_gate("charge", Point.AFTER)
    assert first.wait_exit() == 0
    given_back = stage.saga(order)
    assert (given_back["status"], given_back["owner"]) == ("ready", None)
    assert stage.effects(order)["charge#1", "forward"]["status"] == "succeeded"
    assert stage.workers(first.pid) == set()
    crew.hire(lease="60s")
    stage.wait_for(order, "completed")
    assert_bought(services, order)
    assert first.pid not in {k.pid for k in doors.knocks(order, "invoice")}


@pytest.mark.parametrize("saga", [purchase, purchase_keyless])
def test_a_call_that_does_not_end_in_time_stays_in_doubt(
    stage: Stage, crew: Crew, services: Services, order: str, *, saga: SagaDefinition[Purchase, str]
) -> None:
    """Stopped with a call that outlasts the drain: the saga is free at once, and the call is settled by asking."""
    first = crew.hire(lease="60s", drain_within="300ms")
    services.payment.close_gate("charge", Point.AFTER)
    stage.start(saga, order)
    services.payment.wait_held("charge", Point.AFTER)
    first.terminate()
    assert first.wait_exit() == 0
    assert stage.saga(order)["status"] == "ready"
    crew.hire(lease="60s")
    stage.wait_for(order, "completed")
    services.payment.open_gate("charge", Point.AFTER)
    assert_bought(services, order)
    assert len(services.payment.book().arrivals("charge", order)) == 1


def test_what_waits_for_long_is_put_to_sleep(
    stage: Stage, crew: Crew, services: Services, doors: Doors, order: str
) -> None:
    """Stopped before a saga with a long wait has left memory: it sleeps until its time and is not lost."""
    first = crew.hire(lease="60s")
    services.payment.fault("charge", "down", order=order)
    doors.close("pay_later", order)
    stage.start(purchase_patient, order)
    doors.wait_held("pay_later", order)
    first.terminate()
    stage.wait_draining(first.pid)
    doors.open("pay_later", order)
    assert first.wait_exit() == 0
    row = stage.saga(order)
    assert row["status"] in {"asleep", "ready"}
    assert row["owner"] is None

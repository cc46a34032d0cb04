"""A service that is down, real workers in processes of their own, and a kill -9 in the middle: nothing is burnt or undone."""

from __future__ import annotations

import pytest

from examples.checkout.services.control import Fault, Services
from saga.dev.processes import wait_until
from tests.support.crew import Crew
from tests.support.fire import purchase_at_bank, purchase_by_mail
from tests.support.ledgers import assert_bought
from tests.support.stage import Stage

ORDERS, FAILURES, WORKERS = 20, 3, 2
OPEN = "SELECT 1 FROM saga.service WHERE name = 'bank' AND state = 'open'"
WAITING = "SELECT 1 FROM saga.saga WHERE status = 'asleep' AND waiting_for = 'service bank'"
COUNTED = "SELECT 1 FROM saga.evidence WHERE kind = 'reply' AND body ->> 'outcome' IN ('unknown', 'not_executed') AND NOT (body::jsonb ? 'excused')"


@pytest.mark.timeout(120)
def test_a_service_that_is_down_costs_nobody_anything(
    stage: Stage, services: Services, crew: Crew, order: str
) -> None:
    """Orders wait for the payment, also behind the death of the worker that opened it; others go on; then all are bought."""
    services.payment.fault("charge", Fault.DOWN, count=10_000)
    first, _ = (crew.hire() for _ in range(WORKERS))
    stage.start(purchase_at_bank, f"{order}-0")
    wait_until(lambda: bool(stage.rows(OPEN)), 30, "the bank's breaker is open")
    names = [f"{order}-{n}" for n in range(ORDERS)]
    for name in names[1:]:
        stage.start(purchase_at_bank, name)
    wait_until(lambda: len(stage.rows(WAITING)) >= ORDERS - 2, 30, "orders wait, but for a canary")
    for name in (f"{order}-mail-{n}" for n in range(5)):
        stage.start(purchase_by_mail, name)
        assert stage.wait_for(name, "completed")
    first.kill()
    services.payment.clear_faults()
    for name in names:
        stage.wait_for(name, "completed", within=60)
        assert_bought(services, name)
    assert len(stage.rows(COUNTED)) <= WORKERS * (FAILURES - 1)
    (row,) = stage.rows("SELECT * FROM saga.service")
    assert (row["name"], row["held_by"]) == ("bank", None)

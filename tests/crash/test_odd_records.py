"""A record that cannot be read parks its own saga, and holds up no other."""

from __future__ import annotations

from examples.checkout.services.control import Services
from tests.support.crew import Crew
from tests.support.doors import Doors
from tests.support.fire import purchase
from tests.support.ledgers import assert_bought
from tests.support.stage import Stage

UNREADABLE = """
INSERT INTO saga.evidence (id, saga_id, step, direction, attempt, kind, body)
SELECT gen_random_uuid(), id, 'charge#1', 'forward', 1, 'reply', '{"outcome": "a word of the next release"}'
FROM saga.saga WHERE key = %s"""


def test_evidence_that_this_release_cannot_read(
    stage: Stage, crew: Crew, services: Services, doors: Doors, order: str
) -> None:
    """Two sagas left by a dead worker, one with strange evidence: that one is parked, the other goes on."""
    strange, plain = f"{order}-strange", f"{order}-plain"
    first = crew.hire()
    for name in (strange, plain):
        doors.close("charge", name)
        stage.start(purchase, name)
        doors.wait_held("charge", name)
    first.kill()
    stage.rows(UNREADABLE, strange)
    crew.hire()
    stage.wait_for(plain, "completed")
    assert_bought(services, plain)
    parked = stage.wait_for(strange, "parked")
    assert parked["park_cause"] == "code_failed"
    assert services.payment.book().arrivals("charge", strange) == []

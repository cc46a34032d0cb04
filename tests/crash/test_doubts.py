"""What a service leaves unclear is settled by asking, by a person, or not at all; never by a guess."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from examples.checkout.orders import CARD_DECLINED, SOLD_OUT
from examples.checkout.services.control import Fault, Point, Services
from saga.dev.processes import wait_until
from tests.support.crew import Crew
from tests.support.doors import Doors
from tests.support.fire import (
    purchase,
    purchase_in_time,
    purchase_mute,
    purchase_with_fallback,
)
from tests.support.ledgers import assert_bought, assert_undone
from tests.support.stage import Stage

Shell = Callable[..., subprocess.CompletedProcess[str]]
LOST = pytest.mark.parametrize("fault", [Fault.LOSE_REPLY, Fault.LOSE_REQUEST, Fault.ERROR_AFTER_EFFECT])


@LOST
def test_a_lost_reply_with_a_probe_settles_to_one_effect(
    stage: Stage, crew: Crew, services: Services, order: str, fault: Fault
) -> None:
    """The connection broke before the effect, or after it, or the reply says nothing: the service is asked."""
    services.payment.fault("charge", fault, order=order)
    crew.hire()
    stage.start(purchase, order)
    stage.wait_for(order, "completed")
    assert_bought(services, order)
    assert len(services.payment.book().arrivals("status:charge", order)) >= 1


def test_without_probe_and_dedup_it_parks_at_once_and_says_so(
    stage: Stage, crew: Crew, services: Services, order: str, shell: Shell
) -> None:
    """Nobody can tell, so a person must: `saga stuck` lists it, `saga why` says what is in doubt."""
    services.payment.fault("charge", Fault.LOSE_REPLY, order=order)
    crew.hire()
    stage.start(purchase_mute, order)
    parked = stage.wait_for(order, "parked")
    assert parked["park_cause"] == "in_doubt"
    assert len(services.payment.book().arrivals("charge", order)) == 1
    stuck, why = shell("stuck"), shell("why", order)
    assert order in stuck.stdout
    assert "1 needs a person" in stuck.stderr
    assert why.returncode == 0, why.stderr
    assert "pay_mute#1" in why.stdout


@pytest.mark.parametrize("landed", [True, False], ids=["landed", "never"])
def test_a_statement_carries_the_saga_to_its_right_end(
    stage: Stage, crew: Crew, services: Services, order: str, *, landed: bool, shell: Shell
) -> None:
    """`--landed` goes on with what was paid; `--never` gives the stock back and refunds nothing."""
    services.payment.fault("charge", Fault.LOSE_REPLY if landed else Fault.LOSE_REQUEST, order=order)
    crew.hire()
    stage.start(purchase_mute, order)
    stage.wait_for(order, "parked")
    stated = ["--landed", "--result", '"pay_seen"'] if landed else ["--never"]
    said = shell("resolve", order, "pay_mute", *stated, "--because", "seen in the bank's list", "--yes")
    assert said.returncode == 0, said.stderr
    ended = stage.wait_for(order, "completed", "compensated")
    if landed:
        assert (ended["status"], ended["output"]) == ("completed", '"pay_seen"')
        assert_bought(services, order)
    else:
        assert ended["status"] == "compensated"
        assert_undone(services, order, charges=0)
    assert len(services.payment.book().arrivals("charge", order)) == 1


def test_a_statement_can_be_undone_like_a_proof(
    stage: Stage, crew: Crew, services: Services, order: str, shell: Shell
) -> None:
    """Stated landed while a cancel waits: what was stated is what is refunded."""
    services.payment.fault("charge", Fault.LOSE_REPLY, order=order)
    crew.hire()
    stage.start(purchase_mute, order)
    stage.wait_for(order, "parked")
    (paid,) = services.payment.book().of("charge", order)
    assert shell("cancel", order, "--because", "the customer left", "--yes").returncode == 0
    stage.wait_for(order, "parked")
    said = shell(
        "resolve", order, "pay_mute", "--landed", "--result", f'"{paid.id}"', "--because", "seen", "--yes"
    )
    assert said.returncode == 0, said.stderr
    stage.wait_for(order, "compensated")
    assert_undone(services, order)


def test_a_refused_payment_releases_the_stock(
    stage: Stage, crew: Crew, services: Services, order: str
) -> None:
    """A final no of the payment undoes what came before it, and nothing else."""
    crew.hire()
    stage.start(purchase, order, card=CARD_DECLINED)
    stage.wait_for(order, "compensated")
    assert_undone(services, order, charges=0)
    assert services.payment.book().arrivals("refund", order) == []


@pytest.mark.parametrize("how", ["shed", "refused connection"])
def test_a_service_that_is_down_leads_to_the_fallback(
    stage: Stage, crew: Crew, services: Services, order: str, how: str
) -> None:
    """Proof that nothing happened, at every attempt: the invoice takes the charge's place, and nobody is charged."""
    services.payment.fault("charge", Fault.DOWN, count=6, order=order)
    if how == "refused connection":
        services.payment.kill()
    try:
        crew.hire()
        stage.start(purchase_with_fallback, order)
        stage.wait_for(order, "completed")
    finally:
        if how == "refused connection":
            services.payment.restart()
    assert services.payment.book().of("charge", order) == []
    assert len(services.notification.book().of("mail", order)) == 1
    assert "charge#1" in (stage.saga(order)["degraded"] or "")


@pytest.mark.parametrize(("service", "operation"), [("payment", "refund"), ("inventory", "release")])
@LOST
def test_a_compensation_whose_reply_is_lost_is_not_done_twice(
    stage: Stage, crew: Crew, services: Services, order: str, *, service: str, operation: str, fault: Fault
) -> None:
    """An undo is an effect like another: asked about before anything else."""
    getattr(services, service).fault(operation, fault, order=order)
    crew.hire()
    stage.start(purchase, order, gift=SOLD_OUT)
    stage.wait_for(order, "compensated")
    assert_undone(services, order)


@pytest.mark.parametrize("point", list(Point))
def test_a_cancel_in_mid_call_waits_for_the_call(
    stage: Stage, crew: Crew, services: Services, order: str, *, point: Point, shell: Shell
) -> None:
    """A cancel never aborts a call in flight: the charge settles first, then it is refunded."""
    crew.hire()
    services.payment.close_gate("charge", point)
    stage.start(purchase, order)
    services.payment.wait_held("charge", point)
    assert shell("cancel", order, "--because", "the customer left", "--yes").returncode == 0
    assert stage.saga(order)["direction"] == "forward"
    services.payment.open_gate("charge", point)
    stage.wait_for(order, "compensated")
    assert_undone(services, order)
    assert services.notification.book().of("mail", order) == []


def test_a_deadline_in_mid_call_waits_for_the_call(
    stage: Stage, crew: Crew, services: Services, order: str
) -> None:
    """The saga's time is up while a charge is out there: it settles first, then it is refunded."""
    stage.wait_registered(crew.hire().pid)
    services.payment.close_gate("charge", Point.AFTER)
    stage.start(purchase_in_time, order)
    services.payment.wait_held("charge", Point.AFTER)
    overdue = "SELECT 1 FROM saga.saga WHERE key = %s AND deadline_at < now()"
    wait_until(lambda: bool(stage.rows(overdue, order)), 10, "the saga's deadline")
    services.payment.open_gate("charge", Point.AFTER)
    stage.wait_for(order, "compensated")
    assert_undone(services, order)
    assert '"deadline"' in stage.saga(order)["error"]


def test_of_two_operators_one_wins(
    stage: Stage, crew: Crew, services: Services, order: str, *, shell: Shell
) -> None:
    """One states that it landed, the other that it never did, both about what they saw: the second is told so."""
    services.payment.fault("charge", Fault.LOSE_REPLY, order=order)
    crew.hire()
    stage.start(purchase_mute, order)
    stage.wait_for(order, "parked")
    with stage.held("SELECT 1 FROM saga.saga WHERE key = %s FOR UPDATE", order):
        both = stage.state_both_ways(order, "pay_mute#1", '"pay_seen"')
    won = [one for one in both() if one is None]
    assert len(won) == 1
    ended = stage.wait_for(order, "completed", "compensated")
    statements = [e for e in stage.evidence(order) if e["kind"] == "statement"]
    assert len(statements) == 1
    assert ended["status"] == ("completed" if statements[0]["body"]["says"] == "landed" else "compensated")


def test_what_is_cancelled_before_it_began_sends_nothing(
    stage: Stage, crew: Crew, services: Services, doors: Doors, order: str, *, shell: Shell
) -> None:
    """A cancel that is there before the first worker: no service ever hears of the order."""
    stage.start(purchase, order)
    assert shell("cancel", order, "--because", "a mistake", "--yes").returncode == 0
    crew.hire()
    stage.wait_for(order, "compensated")
    assert doors.knocks(order) == []

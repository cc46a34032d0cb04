"""SIGSTOP beyond the lease: who wakes up late is dead to the database, and says only what it has seen."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from examples.checkout.services.control import Point, Services
from saga.core.evidence import EvidenceKind, Replied, encode
from saga.core.model import Direction, NotExecuted
from saga.dev.processes import wait_until
from saga.ids import uuid7
from saga.store import sagas
from saga.store.changes import EvidenceWrite
from saga.store.connections import connect
from saga.store.urls import conninfo
from tests.support.crew import Crew
from tests.support.doors import Doors
from tests.support.fire import purchase, purchase_keyless, purchase_mute
from tests.support.ledgers import assert_bought
from tests.support.stage import Stage

MOVED_BY_EVIDENCE = {"inbox", "wake_at", "updated_at"}


def written(stage: Stage, order: str) -> tuple[Any, ...]:
    """Everything of a saga that is not evidence, nor moved by the arrival of evidence."""
    row = {k: v for k, v in stage.saga(order).items() if k not in MOVED_BY_EVIDENCE}
    return row, stage.effects(order)


def test_it_writes_nothing_but_evidence(
    stage: Stage, crew: Crew, services: Services, doors: Doors, order: str
) -> None:
    """Paused in mid-call, replaced, woken: it adds what it saw, writes no row besides, and carries on anew."""
    first = crew.hire()
    services.payment.close_gate("charge", Point.AFTER)
    stage.start(purchase, order)
    services.payment.wait_held("charge", Point.AFTER)
    old = stage.wait_registered(first.pid)
    first.pause()
    second = crew.hire()
    stage.wait_for(order, "completed")
    assert stage.workers(first.pid) == set()
    services.payment.open_gate("charge", Point.AFTER)
    before, seen = written(stage, order), len(stage.evidence(order))
    first.wake()
    new = stage.wait_registered(first.pid)
    wait_until(lambda: len(stage.evidence(order)) > seen, 10, "what the paused worker saw")
    assert new != old
    assert written(stage, order) == before
    late = stage.evidence(order)[seen:]
    assert [(e["kind"], e["body"]["outcome"]) for e in late] == [("late_reply", "succeeded")]
    assert late[0]["worker"] in {old, new}
    assert_bought(services, order)
    second.kill()
    stage.start(purchase, f"{order}-next")
    stage.wait_for(f"{order}-next", "completed")
    assert {k.pid for k in doors.knocks(f"{order}-next")} == {first.pid}


def test_between_its_commit_and_its_send_it_does_not_send(
    stage: Stage, crew: Crew, services: Services, doors: Doors, order: str
) -> None:
    """Paused while its intent commits, and woken after the lease: the durable intent is no leave to send."""
    first = crew.hire()
    doors.close("reserve", order)
    stage.start(purchase, order)
    doors.wait_held("reserve", order)
    with stage.held("LOCK TABLE saga.effect IN EXCLUSIVE MODE"):
        doors.open("reserve", order)
        stage.wait_waiting('UPDATE "saga".effect')
        first.pause()
    wait_until(
        lambda: ("charge#1", "forward") in stage.effects(order), 5, "its intent, which commits without it"
    )
    old = stage.workers(first.pid)
    crew.hire()
    stage.wait_for(order, "completed")
    first.wake()
    stage.wait_registered(first.pid, besides=frozenset(old))
    assert_bought(services, order)
    assert [k.pid for k in doors.knocks(order, "charge")] != []
    assert first.pid not in {k.pid for k in doors.knocks(order, "charge")}


@pytest.mark.parametrize("lands", [True, False], ids=["lands", "comes too late"])
def test_a_late_send_to_a_service_that_dedups_nothing(
    stage: Stage, crew: Crew, services: Services, order: str, *, lands: bool
) -> None:
    """The dead worker's request is still out there: nobody sends again before it has landed or cannot any more."""
    first = crew.hire()
    services.payment.close_gate("charge", Point.BEFORE)
    stage.start(purchase_keyless, order)
    services.payment.wait_held("charge", Point.BEFORE)
    first.kill()
    crew.hire()
    if lands:
        services.payment.open_gate("charge", Point.BEFORE)
    stage.wait_for(order, "completed")
    services.payment.open_gate("charge", Point.BEFORE)
    assert_bought(services, order)
    assert len(services.payment.book().arrivals("charge", order)) == (1 if lands else 2)


def test_what_it_saw_takes_a_parked_saga_up_again(
    stage: Stage, crew: Crew, services: Services, order: str
) -> None:
    """Nobody else could tell, so the saga was parked; the paused worker brings the reply, and the saga goes on."""
    first = crew.hire()
    services.payment.close_gate("charge", Point.AFTER)
    stage.start(purchase_mute, order)
    services.payment.wait_held("charge", Point.AFTER)
    first.pause()
    crew.hire()
    assert stage.wait_for(order, "parked")["park_cause"] == "in_doubt"
    services.payment.open_gate("charge", Point.AFTER)
    first.wake()
    stage.wait_for(order, "completed")
    assert_bought(services, order)
    assert len(services.payment.book().arrivals("charge", order)) == 1


@pytest.mark.parametrize(
    ("saga", "name"),
    [(purchase, "charge"), (purchase_keyless, "pay_keyless")],
    ids=["dedups", "dedups nothing"],
)
def test_a_late_body_charges_nothing_more(
    stage: Stage, crew: Crew, services: Services, doors: Doors, order: str, *, saga: Any, name: str
) -> None:
    """A zombie whose body goes on after another worker has settled the effect: still one charge."""
    first = crew.hire()
    doors.close(name, order)
    stage.start(saga, order)
    doors.wait_held(name, order)
    first.pause()
    crew.hire()
    stage.wait_for(order, "completed")
    doors.open(name, order)
    first.wake()
    wait_until(
        lambda: "late_reply" in {e["kind"] for e in stage.evidence(order)}, 10, "what the zombie has seen"
    )
    assert_bought(services, order)


async def test_what_an_earlier_attempt_did_not_do_contradicts_nothing(
    stage: Stage, crew: Crew, services: Services, order: str
) -> None:
    """The second attempt landed; that the first, as its dead worker tells late, sent nothing alarms nobody (S4)."""
    services.payment.fault("charge", "lose_request", order=order)
    crew.hire()
    await asyncio.to_thread(stage.start, purchase_keyless, order)
    saga = await asyncio.to_thread(stage.wait_for, order, "completed")
    assert stage.effects(order)["pay_keyless#1", "forward"]["attempt"] == 2
    seen = Replied(
        1, NotExecuted("the lease was too old before the call", rule="lease"), EvidenceKind.LATE_REPLY
    )
    kind, attempt, body = encode(seen)
    write = EvidenceWrite(uuid7(), "pay_keyless#1", Direction.FORWARD, attempt, kind, json.dumps(body))
    connection = await connect(conninfo(stage.url))
    async with connection:
        await sagas.witness(connection, "saga", worker=None, saga_id=saga["id"], write=write, seen=seen)
    assert stage.saga(order)["alarm"] is None

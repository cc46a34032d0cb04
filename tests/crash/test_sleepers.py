"""A signal of any kind that arrives while a saga goes to sleep wakes it.

The schedule is exact: the signal's transaction has the saga's row and is not committed; the worker's batch that
puts the saga to sleep waits for that row; then the signal commits, and the sleep must be refused.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from examples.checkout.services.control import Fault, Services
from saga.core.evidence import EvidenceKind, Replied, encode
from saga.core.model import Direction, Succeeded
from saga.dev.processes import wait_until
from saga.ids import uuid7
from saga.store import operators, sagas
from saga.store.acts import Act
from saga.store.changes import EvidenceWrite
from saga.store.connections import Connection, connect
from saga.store.operators import Said
from saga.store.urls import conninfo
from tests.support.crew import Crew
from tests.support.fire import purchase_patient, purchase_slow
from tests.support.ledgers import assert_bought, assert_undone
from tests.support.stage import Stage

Signal = Callable[[Connection, dict[str, Any], str], Coroutine[Any, Any, None]]
Shell = Callable[..., subprocess.CompletedProcess[str]]
WAKE_FOR_NOTHING = "UPDATE saga.saga SET status = 'ready', wake_at = now(), inbox = inbox + 1 WHERE key = %s"
READS, GOES_TO_SLEEP = 'FROM "saga".evidence', ("cancel_requested, direction", "FOR NO KEY UPDATE")


def _act(saga: dict[str, Any]) -> Act:
    return Act(saga["id"], saga["revision"], "ann", "to wake it")


async def cancelled(connection: Connection, saga: dict[str, Any], result: str) -> None:
    await operators.cancel(connection, "saga", _act(saga))


async def witnessed(connection: Connection, saga: dict[str, Any], result: str) -> None:
    seen = Replied(1, Succeeded(json.dumps(result)), EvidenceKind.LATE_REPLY)
    kind, attempt, body = encode(seen)
    write = EvidenceWrite(uuid7(), "pay_slowly#1", Direction.FORWARD, attempt, kind, json.dumps(body))
    await sagas.witness(connection, "saga", worker=None, saga_id=saga["id"], write=write, seen=seen)


async def stated(connection: Connection, saga: dict[str, Any], result: str) -> None:
    said = Said("pay_slowly#1", Direction.FORWARD, json.dumps(result))
    await operators.resolve(connection, "saga", _act(saga), said)


async def signal_while_it_goes_to_sleep(stage: Stage, order: str, signal: Signal, result: str) -> None:
    """A sleeper is claimed for nothing, and has the signal under way when it is written that it sleeps again."""
    saga = await asyncio.to_thread(stage.wait_for, order, "asleep")
    connection = await connect(conninfo(stage.url))
    async with connection, connection.transaction():
        with stage.held("LOCK TABLE saga.evidence IN ACCESS EXCLUSIVE MODE"):
            stage.rows(WAKE_FOR_NOTHING, order)
            await asyncio.to_thread(stage.wait_waiting, READS)
            await connection.execute(b"SELECT 1 FROM saga.saga WHERE id = %s FOR UPDATE", (saga["id"],))
        await asyncio.to_thread(stage.wait_waiting, *GOES_TO_SLEEP)
        await signal(connection, saga, result)
        assert stage.saga(order)["status"] == "running"


async def test_a_cancel_wakes_what_goes_to_sleep(
    stage: Stage, crew: Crew, services: Services, order: str
) -> None:
    """A saga that would sleep for half a minute hears of the cancel, and is undone at once."""
    services.payment.fault("charge", Fault.DOWN, count=99, order=order)
    crew.hire()
    await asyncio.to_thread(stage.start, purchase_patient, order)
    await signal_while_it_goes_to_sleep(stage, order, cancelled, "")
    await asyncio.to_thread(stage.wait_for, order, "compensated", within=10)
    assert_undone(services, order, charges=0)


@pytest.mark.parametrize("signal", [witnessed, stated])
async def test_evidence_wakes_what_goes_to_sleep(
    stage: Stage, crew: Crew, services: Services, order: str, *, signal: Signal
) -> None:
    """A saga that would sleep in doubt for half a minute hears what became of the charge, and goes on at once."""
    services.payment.fault("charge", Fault.LOSE_REPLY, order=order)
    crew.hire()
    await asyncio.to_thread(stage.start, purchase_slow, order)
    await asyncio.to_thread(stage.wait_for, order, "asleep")
    (paid,) = services.payment.book().of("charge", order)
    await signal_while_it_goes_to_sleep(stage, order, signal, paid.id)
    ended = await asyncio.to_thread(stage.wait_for, order, "completed", within=10)
    assert ended["output"] == json.dumps(paid.id)
    assert_bought(services, order)


@pytest.mark.parametrize("act", ["cancel", "retry"])
def test_an_operator_wakes_what_sleeps(
    stage: Stage, crew: Crew, services: Services, order: str, *, act: str, shell: Shell
) -> None:
    """A saga that has left memory comes back for a cancel, and for a retry, long before its time."""
    services.payment.fault("charge", Fault.DOWN, count=1, order=order)
    worker = crew.hire()
    stage.start(purchase_patient, order)
    asleep = stage.wait_for(order, "asleep")
    assert asleep["owner"] is None
    assert shell(act, order, "--because", "now", "--yes").returncode == 0
    wait_until(lambda: stage.saga(order)["epoch"] > asleep["epoch"], 5, "another claim")
    if act == "cancel":
        stage.wait_for(order, "compensated", within=10)
        assert_undone(services, order, charges=0)
    assert worker.alive

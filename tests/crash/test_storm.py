"""Everything at once: Postgres and workers die under load, requests and replies get lost, and every order is right."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from examples.checkout.orders import SOLD_OUT
from examples.checkout.services.control import Fault, Services
from saga.dev import embedded
from saga.dev.embedded import Server
from saga.dev.processes import wait_until
from saga.errors import SagaError
from tests.support.crew import Crew
from tests.support.fire import engine_for, purchase
from tests.support.ledgers import assert_bought, assert_undone
from tests.support.stage import Stage

ORDERS = 60
ENDED = "SELECT count(*) AS n FROM saga.saga WHERE status IN ('completed', 'compensated')"


@pytest.fixture
def durable_stage(durable_database_url: str) -> Generator[Stage]:
    """A database whose server may be killed."""
    made = Stage(durable_database_url, engine_for(durable_database_url))
    made.watch_ownership()
    yield made
    made.close()


@pytest.fixture
def durable_crew(durable_stage: Stage, services: Services, tmp_path: Path) -> Generator[Crew]:
    """Workers on that database."""
    with Crew(tmp_path, {"SAGA_DATABASE_URL": durable_stage.url, **services.environment()}) as made:
        yield made
    durable_stage.assert_ownership_is_sound()


def wait_ended(stage: Stage, count: int, within: float) -> None:
    """Returns when so many sagas have ended, whatever becomes of the database meanwhile."""

    def enough() -> bool:
        with contextlib.suppress(psycopg.Error):
            return bool(stage.rows(ENDED)[0]["n"] >= count)
        return False

    wait_until(enough, within, f"{count} sagas have ended")


def start_whatever_happens(stage: Stage, order: str, gift: str | None) -> None:
    """As a shop does it: the same key again, until the database has said yes."""

    def started() -> bool:
        with contextlib.suppress(psycopg.Error, SagaError):
            stage.start(purchase, order, **({} if gift is None else {"gift": gift}))
            return True
        return False

    wait_until(started, 30, f"the start of {order}")


@pytest.mark.timeout(180)
def test_nothing_is_lost_and_nothing_is_done_twice(
    durable_stage: Stage, durable_crew: Crew, durable_server: Server, services: Services, order: str
) -> None:
    """Sixty orders, two kills of Postgres, one of a worker, one pause; each ledger holds exactly what each order says."""
    stage, server = durable_stage, durable_server
    orders = {f"{order}-{n}": (SOLD_OUT if n % 2 else None) for n in range(ORDERS)}
    for number, name in enumerate(orders):
        if number % 3 == 0:
            services.payment.fault("charge", list(Fault)[number % 2], order=name)  # a request, or a reply
            services.payment.fault("refund", Fault.LOSE_REPLY, order=name)
    first, second, _ = (durable_crew.hire() for _ in range(3))
    with ThreadPoolExecutor(2) as shop:
        starts = [shop.submit(start_whatever_happens, stage, name, gift) for name, gift in orders.items()]
        wait_ended(stage, 5, 30)
        server.kill()
        server = embedded.start(server.directory)
        wait_ended(stage, 15, 60)
        first.kill()
        second.pause()
        wait_ended(stage, 30, 60)
        server.kill()
        embedded.start(server.directory)
        second.wake()
        for one in starts:
            one.result(60)
    wait_ended(stage, ORDERS, 60)
    assert durable_crew.all_alive_but(first)
    for name, gift in orders.items():
        (assert_bought if gift is None else assert_undone)(services, name)

"""The answer to every COMMIT of a saga is lost once: nothing is done twice, nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from examples.checkout.orders import SOLD_OUT
from examples.checkout.services.control import Services
from saga_worker.worker import Worker
from tests.support.fire import engine_for, purchase
from tests.support.ledgers import assert_bought, assert_undone
from tests.support.scissors import Scissors
from tests.support.stage import Stage
from tests.support.till import Purchase

MOST = 40


@pytest.fixture
async def scissors(
    stage: Stage, services: Services, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Scissors]:
    """A wire to the database for a worker in this process."""
    for name, url in services.environment().items():
        monkeypatch.setenv(name, url)
    async with Scissors(stage.engine.conninfo).listening() as made:
        yield made


async def run(stage: Stage, *orders: str, gift: str | None) -> list[str]:
    """Start sagas beside the wire; how they ended."""
    engine = engine_for(stage.url)
    async with engine:
        handles = [await engine.start(purchase, Purchase(o, gift=gift), key=o) for o in orders]
        views = await asyncio.gather(*(handle.view(wait="30s") for handle in handles))
    return [view.status.value for view in views]


@pytest.mark.parametrize("gift", [None, SOLD_OUT], ids=["forward", "backward"])
async def test_each_answer_is_lost_once(
    scissors: Scissors, stage: Stage, services: Services, order: str, *, gift: str | None
) -> None:
    """Whichever COMMIT it is, the batch is known to be there and is not run again."""
    async with Worker(engine_for(scissors.url), lanes=1, lease="4s"):
        for number in range(1, MOST):
            scissors.arm(lambda n, number=number: n == number)  # type: ignore[misc]
            name = f"{order}-{number}"
            assert await run(stage, name, gift=gift) == ["confirmed" if gift is None else "declined"]
            (assert_bought if gift is None else assert_undone)(services, name)
            assert len(services.payment.book().arrivals("charge", name)) == 1
            if not scissors.lost:
                break  # it ended before so many COMMITs
    assert 5 < number < MOST
    stage.assert_ownership_is_sound()


async def test_every_third_answer_is_lost(
    scissors: Scissors, stage: Stage, services: Services, order: str
) -> None:
    """Thirty sagas at once, two lanes, and a database that keeps hanging up: each order is right."""
    orders = [f"{order}-{n}" for n in range(30)]
    async with Worker(engine_for(scissors.url), lanes=2, lease="4s"):
        scissors.arm(lambda n: n % 3 == 0)
        half = len(orders) // 2
        ends = await asyncio.gather(
            run(stage, *orders[:half], gift=None), run(stage, *orders[half:], gift=SOLD_OUT)
        )
    assert list(ends) == [["confirmed"] * half, ["declined"] * half]
    assert scissors.lost > 3
    for number, name in enumerate(orders):
        (assert_bought if number < half else assert_undone)(services, name)
    stage.assert_ownership_is_sound()

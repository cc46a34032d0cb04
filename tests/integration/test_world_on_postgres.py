"""`world(postgres=…)`: the same acts on a real Postgres, with the production engine and worker, in real time."""

from __future__ import annotations

import asyncio

import psycopg

from saga import Answer, Call, Retry, Service, View, saga, step
from saga.testing import World

bank = Service("bank", remembers="all", key_lifetime="1h", lateness="100ms", staleness="0s")


@step(bank, timeout="300ms", retry=Retry(attempts=4, first="20ms", most="100ms"))
async def charge(call: Call, total: int) -> str:
    raise AssertionError("bodies are not called")


@charge.status
async def charge_status(call: Call, total: int) -> Answer[str]:
    raise AssertionError("bodies are not called")


@charge.compensate
async def refund(call: Call, payment: str, total: int) -> None:
    raise AssertionError("bodies are not called")


@step(bank, timeout="300ms", undo="nothing")
async def note(call: Call, payment: str) -> str:
    raise AssertionError("bodies are not called")


@saga("pay-for-real")
async def pay(total: int) -> str:
    return await note(await charge(total))


async def test_the_same_acts_in_real_time(world: World, database_url: str) -> None:
    """Lost replies, refusals, late landings and undos, each with the effects that it has in the simulated world."""
    async with world(postgres=database_url) as real:
        real.on(note).returns("noted")
        for act in ("lose_reply", "lose_request", "shed", "fail", "disconnect", "stall"):
            getattr(real.on(charge), act)()
            run = await real.run(pay, 40, key=act)
            assert (run.view.status, run.output) == (View.CONFIRMED, "noted")
            assert (real.effects(charge, key=act), real.applied(charge, key=act)) == (1, 1)
        real.on(note).refuse()
        run = await real.run(pay, 40, key="refused")
        assert run.view.status is View.DECLINED
        assert (real.effects(charge, key="refused"), real.effects(refund)) == (0, 1)


async def test_a_killed_worker_is_replaced(world: World, database_url: str) -> None:
    """Nothing is drained; the next worker takes over when the lease is over, asks, and sends nothing twice."""
    before = asyncio.all_tasks()
    async with world(postgres=database_url, lease="500ms") as real:
        real.on(charge).kill_worker()
        run = await real.run(pay, 40)
        assert (run.view.status, real.applied(charge)) == (View.CONFIRMED, 1)
        real.kill_worker()
        handle = await real.start(pay, 50)
        await real.advance("10ms")
        assert (await real.rest(handle)).view.status is View.CONFIRMED
        assert (await real.view(handle)).status is View.CONFIRMED
    assert asyncio.all_tasks() == before
    with psycopg.connect(database_url) as connection:
        schemas = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'world%'"
        ).fetchall()
    assert schemas == []

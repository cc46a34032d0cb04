"""The plugin works in a project of its own, and `World` in any event loop."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from saga import View
from saga.testing import NotHere, World
from tests.world.shop import Order, buy, charge

SAGA = """
from saga import Answer, Call, Service, saga, step

bank = Service("bank", remembers="all", key_lifetime="24h")


@step(bank, timeout="5s", undo="nothing")
async def charge(call: Call, total: int) -> str:
    raise AssertionError("bodies are not called")


@saga("pay")
async def pay(total: int) -> str:
    return await charge(total)
"""
STRICT = ("-W", "error::RuntimeWarning", "-W", "error::pytest.PytestUnraisableExceptionWarning")
TEST = """
import pytest

from pay import charge, pay


@pytest.mark.MARK
async def test_it(world):
    world.on(charge).lose_reply()
    run = await world.run(pay, 40)
    assert (run.view.status, world.effects(charge)) == ("confirmed", 1)
    assert (await world.sweep(pay, 40)).paths > 10
"""


@pytest.mark.parametrize("mark", ["asyncio", "anyio"])
def test_the_fixture_is_there_in_any_project(tmp_path: Path, mark: str) -> None:
    """Installed is enough: no conftest.py, no setting; under pytest-asyncio and under anyio."""
    (tmp_path / "pay.py").write_text(SAGA)
    backend = '\n\n@pytest.fixture\ndef anyio_backend():\n    return "asyncio"\n' if mark == "anyio" else ""
    (tmp_path / "test_pay.py").write_text(TEST.replace("MARK", mark) + backend)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *STRICT, str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_the_plugin_costs_nothing_until_it_is_used() -> None:
    """Every run of pytest loads it: the simulator and the worker stay out."""
    code = "import sys, saga.testing.plugin; print([m for m in sys.modules if m.startswith(('saga_worker', 'saga.testing.'))])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=True
    )
    assert done.stdout.strip() == "['saga.testing.plugin']"


def test_without_pytest() -> None:
    """A plain program: `async with World() as world`."""

    async def main() -> None:
        async with World() as world:
            world.on(charge).lose_reply()
            run = await world.run(buy, Order())
            assert run.view.status is View.CONFIRMED

    asyncio.run(main())


def test_under_another_loop() -> None:
    """uvloop, where it is installed."""
    uvloop = pytest.importorskip("uvloop")

    async def main() -> None:
        async with World() as world:
            assert (await world.run(buy, Order())).view.status is View.CONFIRMED

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


async def test_an_idle_day_costs_nothing(world: World) -> None:
    """Virtual time passes in leaps: a month is over in no time of this test's limit."""
    await world.run(buy, Order())
    await world.advance("30d")


async def test_a_world_on_postgres_says_how_it_begins(world: World) -> None:
    """Forgotten `async with`, and a sweep in real time: sentences, not surprises."""
    real = world(postgres=True)
    with pytest.raises(NotHere, match="async with"):
        await real.run(buy, Order())
    with pytest.raises(NotHere, match="virtual time"):
        await real.sweep(buy, Order())

"""Those who start sagas, and look at them until they have ended."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import psycopg

from saga.errors import SagaError
from saga.testing.invariants.record import Shown

if TYPE_CHECKING:
    from saga.testing.simulation.simulation import Simulation, Start


async def customer(simulation: Simulation, start: Start) -> None:
    """Start it until the database says that it is started, then look at it until it has ended."""
    handle = None
    while handle is None:
        with suppress(psycopg.Error, SagaError):
            handle = await simulation.engine.start(start.definition, start.value, key=start.key)
        await asyncio.sleep(0.05)
    simulation.acknowledged.add(start.key)
    status, pause = "", 0.1
    while status in {"", "processing"} or simulation.database.watches():
        with suppress(psycopg.Error, SagaError):
            status = str((await handle.view()).status)
            lines = len(simulation.ledger.entries)
            simulation.shown.append(Shown(simulation.machine.now, start.key, status, lines))
        await asyncio.sleep(pause)
        pause = min(pause * 2.0, 3.0)

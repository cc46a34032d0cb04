"""Those who start sagas, and look at them until they have ended."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from saga.definition import SagaDefinition
from saga.errors import AlreadyEnded, SagaError
from saga.signals import Signal
from saga.testing.invariants.record import Pause, SentSignal, Shown

if TYPE_CHECKING:
    from saga.testing.simulation.simulation import Simulation


@dataclass(frozen=True, slots=True)
class Send:
    """A signal that is sent to a saga. at: so long after its start, in seconds. key: under which it is sent once; every try
    that fails is made again, and one that is given none is only tried until it is known to have come.
    """

    signal: Signal[str]
    payload: str
    at: float
    key: str


@dataclass(frozen=True, slots=True)
class Start:
    """A saga that a customer starts, and when. expects: the steps that stand when it has completed, where that is known.

    pauses: how far apart its requests must be. sends: what is sent to it.
    """

    definition: SagaDefinition[Any, Any]
    value: Any
    key: str
    at: float = 0.0
    expects: frozenset[str] | None = None
    pauses: tuple[Pause, ...] = ()
    sends: tuple[Send, ...] = ()


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


async def sender(simulation: Simulation, start: Start, send: Send) -> None:
    """Send a signal, again and again until the database says that it is sent, or that it comes too late."""
    while True:
        with suppress(psycopg.Error, SagaError):
            try:
                await simulation.engine.send(
                    start.definition, send.signal, send.payload, to=start.key, key=send.key
                )
            except AlreadyEnded:
                return
            simulation.sent.append(
                SentSignal(start.key, send.signal.name, send.payload, simulation.database.model.clock())
            )
            return
        await asyncio.sleep(0.05)

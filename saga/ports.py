"""What the engine asks of the machine that it runs on: time, chance, threads, a connection to the database.

Rules that hold here: nothing else in the engine or the worker reads a clock, draws a random number, starts a
thread for a step or opens a connection, so that a simulated machine can run the production code as it is; the
ports belong to the context and not to the process, so that several simulated workers can share one thread.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

_RANDOM_BITS = 53


def _boottime() -> float:
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


_chance = random.Random()
"""Our own, which nobody else can seed; nothing that is drawn from it is a secret."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_chance.seed)


def _threads(count: int) -> Executor:
    return ThreadPoolExecutor(count, thread_name_prefix="saga-step")


@dataclass(slots=True)
class Ports:
    """One machine.

    boottime: seconds on CLOCK_BOOTTIME, which counts through suspend. unix_ns: the wall clock, in nanoseconds.
    random_bits: that many of them. threads: what runs that many blocking bodies at once. connect: opens a
    connection to the database of a libpq string in place of psycopg. last_tick: of the newest id (`saga.ids`).
    """

    boottime: Callable[[], float] = _boottime
    unix_ns: Callable[[], int] = time.time_ns
    random_bits: Callable[[int], int] = _chance.getrandbits
    threads: Callable[[int], Executor] = _threads
    connect: Callable[[str], Coroutine[Any, Any, Any]] | None = None
    last_tick: int = 0


_machine: ContextVar[Ports] = ContextVar("saga_ports", default=Ports())  # noqa: B039 - one machine, one set


def ports() -> Ports:
    """Those of the machine that this code runs on."""
    return _machine.get()


def run_on(machine: Ports, context_of: Any) -> None:
    """From now on, code in this `contextvars.Context` runs on `machine`."""
    context_of.run(_machine.set, machine)


def random_share() -> float:
    """A random number in [0, 1)."""
    return _machine.get().random_bits(_RANDOM_BITS) / (1 << _RANDOM_BITS)

"""What the five commands share: what they are asked, how they measure, and what they print."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import importlib.util
import json
import signal
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")
INPUT = "i" * 200
RESULT = "r" * 100
BATCH = 500
AT_ONCE = 50
"""So many starts one client has under way."""
QUIET_S = 3.0
NOT_INSTALLED = 3


class Failed(Exception):
    """It could not be measured: the sentence is for whoever asked."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The command line. worker: this process is a worker, of that phase; history: finished workflows behind."""

    url: str
    sagas: int
    steps: int
    latencies: int
    processes: int
    history: int
    server: Path | None
    worker: str | None


@dataclass(frozen=True, slots=True)
class Figures:
    """The last line. count: so many units were done between `begin` and `end`; milliseconds are start to result."""

    peer: str
    version: str
    settings: str
    unit: str
    count: int
    per_s: float
    p50_ms: float | None
    p99_ms: float | None
    starts_per_s: float | None
    bulk_starts_per_s: float | None


def not_installed(package: str, error: ImportError) -> NoReturn:
    """End at once."""
    print(f"{package} is not installed in this environment: {error}", file=sys.stderr)
    sys.exit(NOT_INSTALLED)


def asked(peer: str) -> Asked:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.peers.{peer}")
    parser.add_argument(
        "url", help="postgresql://… of a database that is fresh and empty; Restate needs none"
    )
    parser.add_argument(
        "--sagas", type=int, default=2000, help="workflows; for a job queue: times --steps jobs"
    )
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--latencies", type=int, default=300, help="how many one at a time")
    parser.add_argument("--processes", type=int, choices=(1, 2), default=1, help="of workers")
    parser.add_argument("--history", type=int, default=0, help="finished workflows behind; not for Restate")
    parser.add_argument("--server", type=Path, help="Restate only: the directory that holds node_modules")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return Asked(**vars(parser.parse_args()))


def answer(measure: Callable[[], Figures]) -> int:
    """Print the figures, or the sentence that says why there are none; the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended
    try:
        figures = measure()
    except Failed as failed:
        print(f"error: {failed}", file=sys.stderr)
        return 1
    found = asdict(figures).items()
    print(json.dumps({name: round(v, 3) if isinstance(v, float) else v for name, v in found}), flush=True)
    return 0


def say(line: str) -> None:
    """To whoever reads along."""
    print(line, flush=True)


def frame(word: str) -> None:
    """`begin` and `end` of the throughput, each with a quiet after it.

    In that whoever counts from outside can: a backend tells what it has counted only once a second.
    """
    say(word)
    time.sleep(QUIET_S)


def version(package: str) -> str:
    """Of an installed package."""
    return metadata.version(package)


def percentiles(taken: Sequence[float]) -> tuple[float | None, float | None]:
    """The median and the 99th, found as for ourselves."""
    if not taken:
        return None, None
    ordered = sorted(taken)
    return statistics.median(ordered), ordered[int(len(ordered) * 0.99)]


async def one_by_one(count: int, one: Callable[[], Awaitable[object]]) -> list[float]:
    """Milliseconds of each, after a tenth more to warm up."""
    taken: list[float] = []
    for _ in range(count + count // 10):
        began = time.perf_counter()
        await one()
        taken.append((time.perf_counter() - began) * 1000)
    return taken[count // 10 :]


async def rate(count: int, one: Callable[[], Awaitable[object]], at_once: int = AT_ONCE) -> float:
    """How many a second, with so many under way."""

    async def part(first: int) -> None:
        for _ in range(first, count, at_once):
            await one()

    await one()
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for first in range(at_once):
            group.create_task(part(first))
    return count / (time.perf_counter() - began)


def run(work: Coroutine[Any, Any, T]) -> T:
    """In a loop of its own: uvloop's where that is installed, as our own worker does."""
    factory = None
    if importlib.util.find_spec("uvloop") is not None:
        factory = importlib.import_module("uvloop").new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(work)

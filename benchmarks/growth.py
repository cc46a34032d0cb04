"""`python -m benchmarks.growth FILE`: what a saga costs as things grow, one figure after the other; JSON for the plots.

Against finished sagas, sagas asleep, steps a saga, sagas at once, and worker processes. Each series runs in one go on one server.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import copies, server
from benchmarks.engine import Load, throughput

Point = tuple[int, float]
SAGAS = 6_000
STEPS = {1: 12_000, 3: 6_000, 10: 2_000, 100: 200, 1_000: 20}
AT_ONCE = {1: 600, 4: 2_000, 16: 4_000, 64: 6_000, 250: 6_000, 1_000: 8_000, 5_000: 10_000}
PROCESSES = (1, 2, 4)
HISTORY = (0, 10_000, 100_000, 1_000_000)
SLEEPERS = (0, 1_000, 10_000, 100_000)


@dataclass(frozen=True, slots=True)
class Series:
    """One plot. A point: how large it was, and microseconds of wall time a saga, or a step."""

    name: str
    against: str
    measured: str
    points: Callable[[str], Iterator[Point]]


def _cost(url: str, load: Load) -> float:
    return 1e6 / throughput(url, load).sagas_per_s


def _fresh(url: str) -> str:
    return server.fresh(url, "growth", migrated=True)


def _beside(url: str, sizes: tuple[int, ...], grow: Callable[[str, int, int], None]) -> Iterator[Point]:
    made, there = _fresh(url), 0
    for number, size in enumerate(sizes):
        if size > there:
            grow(made, size - there, there + 1)
            there = size
        yield size, _cost(made, Load(SAGAS, prefix=f"load{number}"))


def _history(url: str) -> Iterator[Point]:
    return _beside(url, HISTORY, lambda made, more, first: copies.finished(made, more, first=first))


def _sleepers(url: str) -> Iterator[Point]:
    return _beside(url, SLEEPERS, lambda made, more, first: copies.asleep(made, more, first=first))


def _steps(url: str) -> Iterator[Point]:
    for steps, sagas in STEPS.items():
        yield steps, _cost(_fresh(url), Load(sagas, steps=steps)) / steps


def _at_once(url: str) -> Iterator[Point]:
    for concurrency, sagas in AT_ONCE.items():
        yield concurrency, _cost(_fresh(url), Load(sagas, concurrency=concurrency))


def _processes(url: str) -> Iterator[Point]:
    for processes in PROCESSES:
        yield processes, _cost(_fresh(url), Load(SAGAS * 2, processes=processes))


ALL = (
    Series("history", "finished sagas in the database", "µs a saga", _history),
    Series("sleepers", "sagas asleep", "µs a saga", _sleepers),
    Series("steps", "steps a saga", "µs a step", _steps),
    Series("concurrency", "sagas at once in one worker", "µs a saga", _at_once),
    Series("processes", "worker processes", "µs a saga", _processes),
)


def main() -> int:
    """Measure, and write what was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--only", choices=[series.name for series in ALL], nargs="*")
    options = parser.parse_args()
    found: dict[str, object] = {}
    with server.server() as started:
        about = (
            f"{datetime.now(UTC):%Y-%m-%d} · PostgreSQL {server.version(started.url)} · Python {platform.python_version()}"
            f" · {os.cpu_count()} cores"
        )
        for series in ALL:
            if options.only and series.name not in options.only:
                continue
            points: list[Point] = []
            for size, cost in series.points(started.url):
                print(f"  {series.name:<14}{size:>10,}{cost:>12,.1f} {series.measured}", flush=True)
                points.append((size, round(cost, 1)))
            found[series.name] = {
                "against": series.against,
                "measured": series.measured,
                "points": points,
                "about": about,
            }
    before = json.loads(options.file.read_text()) if options.file.exists() else {}
    options.file.write_text(json.dumps({**before, **found}, indent=1, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

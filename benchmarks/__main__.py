"""`python -m benchmarks`: a table, and one last JSON line."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from dataclasses import dataclass, field

from benchmarks import engine, server
from benchmarks.engine import Load
from saga.dev.embedded import Server

WRITERS = 2
PEERS = ("dbos", "absurd", "restate")
"""Whose figures are not measured here yet: null, and never guessed."""


@dataclass
class Table:
    """The figures so far, by name, as they are measured."""

    rounds: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def add(self, name: str, value: float) -> None:
        """One repetition."""
        self.rounds.setdefault(name, []).append(value)
        print(f"  {name:<28}{value:>12,.3f}", flush=True)

    def median(self, name: str) -> float | None:
        """Of all repetitions."""
        found = self.rounds.get(name)
        return None if not found else round(statistics.median(found), 3)


def main() -> int:
    """Measure in turn, so that whatever the machine does hits all alike."""
    options = _options()
    table = Table()
    with server.server() as started:
        _settings(started, options)
        for number in range(options.repetitions):
            print(f"round {number + 1} of {options.repetitions}", flush=True)
            for measure in (_ceiling, _engine, _two_workers, _latency, _starts):
                measure(started.url, options, table)
    _summary(table)
    return 0


def _ceiling(url: str, options: argparse.Namespace, table: Table) -> None:
    made = server.fresh(url, "ceiling", migrated=False)
    command = [
        sys.executable,
        "-m",
        "benchmarks.ceiling",
        made,
        "--sagas",
        str(options.sagas),
        "--writers",
        str(WRITERS),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    table.add("ceiling_sagas_per_s", options.sagas / float(json.loads(done.stdout)["seconds"]))


def _engine(url: str, options: argparse.Namespace, table: Table) -> None:
    found = engine.throughput(_database(url), Load(options.sagas))
    table.add("sagas_per_s", found.sagas_per_s)
    table.add("tx_per_saga", found.transactions)
    table.add("wal_bytes_per_saga", found.wal_bytes)


def _two_workers(url: str, options: argparse.Namespace, table: Table) -> None:
    table.add(
        "two_workers_sagas_per_s",
        engine.throughput(_database(url), Load(options.sagas, processes=2)).sagas_per_s,
    )


def _latency(url: str, options: argparse.Namespace, table: Table) -> None:
    found = engine.latency(_database(url), options.latencies)
    table.add("p50_ms", found.p50_ms)
    table.add("p99_ms", found.p99_ms)


def _starts(url: str, options: argparse.Namespace, table: Table) -> None:
    table.add("starts_per_s", engine.starts(_database(url), options.sagas // 4))


def _database(url: str) -> str:
    return server.fresh(url, "engine", migrated=True)


def _settings(started: Server, options: argparse.Namespace) -> None:
    print(
        f"PostgreSQL {server.version(started.url)} {server.SETTINGS} · Python {platform.python_version()} · "
        f"{os.cpu_count()} cores · {options.sagas} sagas of 3 steps · concurrency {engine.CONCURRENCY}, lanes {engine.LANES}"
    )


def _summary(table: Table) -> None:
    print("medians and spread")
    for name, found in table.rounds.items():
        print(f"  {name:<28}{statistics.median(found):>12,.3f}   {min(found):,.3f} to {max(found):,.3f}")
    two, one, ceiling = (
        table.median(n) for n in ("two_workers_sagas_per_s", "sagas_per_s", "ceiling_sagas_per_s")
    )
    figures = {
        "v": 1, **{name: table.median(name) for name in ("sagas_per_s", "ceiling_sagas_per_s")},
        **{f"{peer}_per_s": None for peer in PEERS},
        **{name: table.median(name) for name in ("p50_ms", "p99_ms", "wal_bytes_per_saga", "tx_per_saga")},
        "two_workers_factor": None if two is None or not one else round(two / one, 2),
        "share_of_ceiling": None if one is None or not ceiling else round(one / ceiling, 3),
        "history_loss": None,
    }  # fmt: skip
    print(json.dumps(figures))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--sagas", type=int, default=20_000)
    parser.add_argument("--latencies", type=int, default=300, help="how many sagas one at a time")
    parser.add_argument("--repetitions", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

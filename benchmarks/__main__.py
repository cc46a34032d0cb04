"""`python -m benchmarks`: the engine, the bare loop and the peers in turn on one Postgres; a table, and one last JSON line."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys

from benchmarks import contest, engine, scenarios, server
from benchmarks.engine import Load
from benchmarks.table import Table
from saga.dev.embedded import Server

WRITERS = 2
TEN = 10


def main() -> int:
    """Measure in turn, so that whatever the machine does hits all alike."""
    options = _options()
    table = Table()
    with server.server() as started:
        _settings(started, options)
        for number in range(options.repetitions):
            print(f"round {number + 1} of {options.repetitions}", flush=True)
            for measure in (_ceiling, _engine, _two_workers, _ten_steps, _latency, _starts, _lost):
                measure(started.url, options, table)
            if not options.quick:
                _peers(started.url, table, first=number == 0)
        if not options.quick:
            _scenarios(started.url, options, table)
    table.summary()
    print(json.dumps(_figures(table)))
    return 0


def _ceiling(url: str, options: argparse.Namespace, table: Table) -> None:
    for steps, name in ((3, "ceiling_sagas_per_s"), (TEN, "ceiling_ten_steps_per_s")):
        sagas = options.sagas * 3 // steps
        made = server.fresh(url, "ceiling", migrated=False)
        asked = {"--sagas": sagas, "--steps": steps, "--writers": WRITERS}
        words = [str(word) for pair in asked.items() for word in pair]
        command = [sys.executable, "-m", "benchmarks.ceiling", made, *words]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        table.add(name, sagas / float(json.loads(done.stdout)["seconds"]))


def _engine(url: str, options: argparse.Namespace, table: Table) -> None:
    found = engine.throughput(_database(url), Load(options.sagas))
    table.add("sagas_per_s", found.sagas_per_s)
    table.add("tx_per_saga", found.transactions)
    table.add("wal_bytes_per_saga", found.wal_bytes)


def _two_workers(url: str, options: argparse.Namespace, table: Table) -> None:
    found = engine.throughput(_database(url), Load(options.sagas, processes=2))
    table.add("two_workers_sagas_per_s", found.sagas_per_s)


def _ten_steps(url: str, options: argparse.Namespace, table: Table) -> None:
    found = engine.throughput(_database(url), Load(options.sagas * 3 // TEN, steps=TEN))
    table.add("ten_steps_sagas_per_s", found.sagas_per_s)
    three = table.rounds["sagas_per_s"][-1]
    table.add("extra_step_us", (1 / found.sagas_per_s - 1 / three) / (TEN - 3) * 1e6)


def _latency(url: str, options: argparse.Namespace, table: Table) -> None:
    found = engine.latency(_database(url), options.latencies)
    table.add("p50_ms", found.p50_ms)
    table.add("p99_ms", found.p99_ms)


def _starts(url: str, options: argparse.Namespace, table: Table) -> None:
    table.add("starts_per_s", engine.starts(_database(url), options.sagas // 4))
    table.add("starts_of_many_per_s", engine.starts_of_many(_database(url), options.sagas))


def _lost(url: str, options: argparse.Namespace, table: Table) -> None:
    _add(table, scenarios.lost_replies(_database(url), options.sagas))


def _peers(url: str, table: Table, *, first: bool) -> None:
    for peer in contest.SAGAS:
        for variant in (contest.PLAIN, *contest.OTHERS) if first else (contest.PLAIN,):
            contest.measure(url, peer, variant, table)


def _scenarios(url: str, options: argparse.Namespace, table: Table) -> None:
    print("scenarios, once", flush=True)
    _add(table, scenarios.takeover(_database(url)))
    _add(table, scenarios.sleepers(_database(url), options.asleep))
    _add(table, scenarios.history(_database(url), options.sagas, options.finished))


def _add(table: Table, figures: scenarios.Figures) -> None:
    for name, value in figures.items():
        table.add(name, value)


def _database(url: str) -> str:
    return server.fresh(url, "engine", migrated=True)


def _settings(started: Server, options: argparse.Namespace) -> None:
    print(
        f"PostgreSQL {server.version(started.url)} {server.SETTINGS} · Python {platform.python_version()} · "
        f"{os.cpu_count()} cores · {options.sagas} sagas of 3 steps · concurrency {engine.CONCURRENCY}, lanes {engine.LANES}"
    )


def _figures(table: Table) -> dict[str, float | None]:
    kept = table.ratio("with_history_per_s", "sagas_per_s")
    return {
        "v": 1,
        **{name: table.median(name) for name in ("sagas_per_s", "ceiling_sagas_per_s")},
        **{f"{peer}_per_s": table.median(f"{peer}_per_s") for peer in contest.SAGAS},
        **{name: table.median(name) for name in ("p50_ms", "p99_ms", "wal_bytes_per_saga", "tx_per_saga")},
        "two_workers_factor": table.ratio("two_workers_sagas_per_s", "sagas_per_s"),
        "share_of_ceiling": table.ratio("sagas_per_s", "ceiling_sagas_per_s"),
        "share_with_lost_replies": table.ratio("with_lost_replies_per_s", "sagas_per_s"),
        "history_loss": None if kept is None else round(1 - kept, 3),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="the engine and the bare loop alone, and no history"
    )
    parser.add_argument("--sagas", type=int, default=20_000)
    parser.add_argument("--latencies", type=int, default=300, help="how many sagas one at a time")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--asleep", type=int, default=100_000)
    parser.add_argument("--finished", type=int, default=1_000_000)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

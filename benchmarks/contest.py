"""The peers, each as a command in the environment that has its packages; what it cannot say is null, and never guessed.

Rule that holds here: a peer that is missing, or fails, is said to be, with its own sentence.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from threading import Timer
from typing import Any

from benchmarks import server
from benchmarks.table import Table

PYTHON = Path(os.environ.get("BENCH_PEERS", ".venv-peers")) / "bin" / "python"
NODE = PYTHON.parent.parent
SAGAS: Mapping[str, int] = {
    "dbos": 1_500, "absurd": 4_000, "restate": 5_000, "procrastinate": 1_000, "pgqueuer": 20_000,
}  # fmt: skip
"""So many that each is at it for about ten seconds."""
LIMIT_S = 600.0


@dataclass(frozen=True, slots=True)
class Variant:
    """How a peer is asked to run."""

    suffix: str
    steps: int = 3
    processes: int = 1
    latencies: int = 0


PLAIN = Variant("", latencies=200)
OTHERS = (Variant("_two_workers", processes=2), Variant("_ten_steps", steps=10))


def measure(url: str, peer: str, variant: Variant, table: Table) -> None:
    """One peer once, on a fresh database."""
    if not PYTHON.exists():
        table.miss(peer, f"no environment for peers in {NODE}: make peers")
        return
    made = server.fresh(url, "peer", migrated=False)
    command = [
        str(PYTHON), "-m", f"benchmarks.peers.{peer}", made, "--sagas", str(SAGAS[peer] * 3 // variant.steps),
        "--steps", str(variant.steps), "--processes", str(variant.processes), "--latencies", str(variant.latencies),
        *(("--server", str(NODE)) if peer == "restate" else ()),
    ]  # fmt: skip
    with (
        TemporaryFile("w+") as complaints,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints, text=True) as process,
    ):
        patience = Timer(LIMIT_S, process.terminate)  # whoever hangs says no more, and is missing
        patience.start()
        try:
            said, counted = _read(process, made)
            process.wait()
        finally:
            patience.cancel()
        complaints.seek(0)
        complaint = complaints.read()
    if said is None or process.returncode:
        table.miss(f"{peer}{variant.suffix}", (complaint.strip().splitlines() or ["it said nothing"])[-1])
        return
    _note(said, counted, f"{peer}{variant.suffix}", table)


def _read(process: subprocess.Popen[str], url: str) -> tuple[dict[str, Any] | None, server.Counted | None]:
    """Its last line, and what the database counted between `begin` and `end`."""
    assert process.stdout is not None
    marks: dict[str, server.Counted] = {}
    last = None
    for line in process.stdout:
        word = line.strip()
        if word in ("begin", "end"):
            marks[word] = server.counted(url)
        elif word.startswith("{"):
            last = json.loads(word)
    return last, marks["end"].since(marks["begin"]) if {"begin", "end"} <= marks.keys() else None


def _note(said: dict[str, Any], counted: server.Counted | None, name: str, table: Table) -> None:
    table.describe(name, f"{said['peer']} {said['version']}: {said['settings']} ({said['unit']})")
    for figure in ("per_s", "p50_ms", "p99_ms", "starts_per_s", "bulk_starts_per_s"):
        if said.get(figure) is not None:
            table.add(f"{name}_{figure}", float(said[figure]))
    if counted is not None and said["peer"] != "restate":
        table.add(f"{name}_wal_bytes", counted.wal_bytes / said["count"])
        table.add(f"{name}_tx", counted.transactions / said["count"])


def main() -> None:
    """`python -m benchmarks.contest`: the peers alone, once."""
    table = Table()
    with server.server() as started:
        for peer in sys.argv[1:] or SAGAS:
            measure(started.url, peer, PLAIN, table)
    table.summary()


if __name__ == "__main__":
    main()

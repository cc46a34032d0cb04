"""What a run says in the end: one line; and before it, whatever is wrong, with all that is known of it."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from examples.checkout.processes import child_environment
from tests.chaos.books import Books
from tests.chaos.plan import Kind

SHOWN_IN_FULL = 5
PLURALS = {Kind.KILL: "kills", Kind.STOP: "stops", Kind.STORM: "storms", Kind.CRASH: "crashes", Kind.STANDBY: "standbys",
           Kind.PROMOTION: "promotions", Kind.TORN: "torn promotions", Kind.SERVICE: "services", Kind.RESET: "resets",
           Kind.STALL: "stalls", Kind.STRAND: "strands", Kind.LATE: "delays"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """The figures of one run."""

    seconds: float
    seed: int
    faults: Counter[Kind]
    wires: Counter[str]
    slowest_s: float


def line(run: Run, books: Books, violations: int) -> str:
    """Everything in one line."""
    kinds = {PLURALS[kind]: run.faults[kind] for kind in Kind if run.faults[kind]}
    ended = Counter(saga.status for saga in books.sagas.values())
    words = Counter(wanted.shown[-1].word for wanted in books.wanted.values() if wanted.shown)
    return " · ".join(
        [
            f"{len(books.sagas)} sagas in {run.seconds:.0f} s",
            f"faults {_braced(kinds)}",
            f"on the wires {_braced(run.wires)}",
            f"ended {_braced(ended)}",
            f"told {_braced(words)}",
            f"parked {_braced(Counter(str(s.park_cause) for s in books.sagas.values() if s.park_cause))}",
            f"slowest end after the last fault {run.slowest_s:.1f} s",
            f"violations {violations}",
            f"seed {run.seed}",
        ]
    )


def show(books: Books, wrong: dict[str, list[str]], url: str) -> None:
    """Each saga that is wrong; the first few with their ledger lines and what the engine knows."""
    for number, (key, sentences) in enumerate(wrong.items()):
        for sentence in sentences:
            say(f"! {key or 'the run'}: {sentence}")
        if not key or number >= SHOWN_IN_FULL:
            continue
        for entry in books.lines.get(key, []):
            say(f"    ledger {entry}")
        if key in books.wanted:
            say(f"    customer {books.wanted[key]}")
        for verb in ("show", "why"):
            say(_saga(url, verb, key))


def say(text: str) -> None:
    """A line to whoever runs this."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _saga(url: str, *words: str) -> str:
    command = [
        sys.executable,
        "-m",
        "saga.cli.main",
        *words,
        "--database",
        url,
    ]
    done = subprocess.run(
        command,
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path.cwd(),
    )
    return f"    $ saga {' '.join(words)}\n{done.stdout}{done.stderr}"


def _braced(counts: dict[str, int]) -> str:
    return "{" + ", ".join(f"{name}: {count}" for name, count in counts.items()) + "}"

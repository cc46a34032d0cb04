"""Seeded runs until something breaks, or until the budget is spent: of one mutant, or of the code as it is.

Rules that hold here: the runs of a hunt follow from its seed, profiles and fault rate, so that the control does the
very runs that caught a mutant; a process that spins for ever is a saga that never rests (I11).
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field

from saga.testing.simulation.machine import Spinning
from tests.proof.profiles import PROFILES
from tests.proof.runs import Plan, collect_seldom, run

SAGAS_A_RUN = 60


@dataclass(frozen=True)
class Hunt:
    """What a hunt is. profiles: in turn, none for all. faults: per cent. budget: how many sagas."""

    seed: int
    profiles: tuple[str, ...]
    faults: float
    budget: int


@dataclass
class Caught:
    """What came of a hunt. invariants: all that broke in the run that broke first; none: nothing did."""

    sagas: int = 0
    invariants: list[str] = field(default_factory=list[str])
    says: str = ""
    command: str = ""


def hunt(what: Hunt) -> Caught:
    """Run until something breaks."""
    found, number = Caught(), 0
    names = what.profiles or tuple(PROFILES)
    while found.sagas < what.budget and not found.invariants:
        plan = Plan(what.seed + number, names[number % len(names)], SAGAS_A_RUN, what.faults / 100)
        found.sagas += plan.sagas
        number += 1
        try:
            violations = run(plan).violations
        except Spinning as spins:
            found.invariants, found.says = ["I11"], str(spins)
        else:
            found.invariants = list(dict.fromkeys(v.invariant for v in violations))
            found.says = str(violations[0]) if violations else ""
        found.command = plan.command()
    return found


def main() -> None:
    """One hunt, told by its JSON on standard input; what came of it, as JSON on standard output."""
    collect_seldom()
    told = json.loads(sys.stdin.read())
    told["profiles"] = tuple(told["profiles"])
    print(json.dumps(asdict(hunt(Hunt(**told)))))

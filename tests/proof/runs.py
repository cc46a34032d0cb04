"""One seeded run of many sagas, judged; and the smallest set of its faults that still breaks something.

Rules that hold here: a run is its seed, profile and fault rate, and nothing else; a violation is reported with
the command that replays it and the faults, in words, that are needed for it.
"""

from __future__ import annotations

import gc
import logging
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import sha256

from saga.engine import Engine
from saga.errors import DefinitionWarning
from saga.testing.invariants import Violation, broken
from saga.testing.simulation.chance import Chance, Fault, Scripted, Seeded
from saga.testing.simulation.desk import OPERATORS
from saga.testing.simulation.simulation import Setting, Simulation, Start, engine_of
from saga_worker.clocks import Pace
from tests.proof.profiles import PROFILES
from tests.proof.shapes import Shape, shapes


class _Kept(logging.Handler):
    """Keeps what the engine logs, for whoever looks for secrets in it (I13)."""

    lines: list[str]

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line."""
        self.lines.append(record.getMessage())


_KEPT = _Kept()


def keep_log(lines: list[str]) -> None:
    """From now on the log goes there, and nowhere else."""
    log = logging.getLogger("saga")
    log.handlers, log.propagate = [_KEPT], False
    log.setLevel(logging.WARNING)
    _KEPT.lines = lines


def collect_seldom() -> None:
    """For a process that only simulates: a run makes many objects, and drops them all at its end."""
    gc.set_threshold(100_000, 20, 20)


FAULTS_FOR_S = 6.0
LIMIT_S = 120.0
PACE = Pace(round=1.0, reap=1.0)
"""What an idle worker does is no part of a run: it looks half as often as it does by default."""
RATES = {"call": 1.0, "ask": 1.0, "database": 0.12, "moment": 1.0, "operator": 3.0}
"""How often a point of this kind has a fault, relative to a call to a service."""


@dataclass(frozen=True)
class Plan:
    """What a run is. rate: share of calls with a fault. sagas: how many are started."""

    seed: int
    profile: str
    sagas: int = 60
    rate: float = 0.05
    workers: int = 3

    def command(self) -> str:
        """What replays it."""
        return (
            f"make sim RUNS={self.sagas} SEED={self.seed} PROFILE={self.profile} FAULTS={self.rate * 100:g}"
        )


@dataclass
class Ran:
    """What came of a run."""

    plan: Plan
    violations: list[Violation] = field(default_factory=list[Violation])
    faults: list[Fault] = field(default_factory=list[Fault])
    ends: Counter[str] = field(default_factory=Counter[str])
    parked: Counter[str] = field(default_factory=Counter[str])
    attempts: int = 0
    digest: str = ""


@cache
def engine(profile: str) -> Engine:
    """The engine that serves every shape of this profile."""
    with warnings.catch_warnings():  # a deadline shorter than a doubt may last is what one shape is about
        warnings.simplefilter("ignore", DefinitionWarning)
        return engine_of([shape.definition for shape in shapes(profile).values()])


def run(plan: Plan, chance: Chance | None = None, setting: Setting | None = None) -> Ran:
    """Simulate it once."""
    rates = {kind: plan.rate * share for kind, share in RATES.items()}
    used = chance or Seeded(plan.seed, rates, until=FAULTS_FOR_S)
    profile = PROFILES[plan.profile]
    chosen = setting or Setting(
        workers=plan.workers,
        pace=PACE,
        call_faults=profile.calls,
        moments=profile.moments,
        batch_faults=profile.batches,
        operators=OPERATORS,
        lies=profile.lies,
        lags=profile.lags,
    )
    simulation = Simulation(engine(plan.profile), used, chosen)
    try:
        keep_log(simulation.logged)
        for number in range(plan.sagas):
            simulation.start(_start(plan, number, used))
        rested = simulation.run(faults_until=FAULTS_FOR_S, limit=LIMIT_S)
        return _judged(plan, simulation, used, rested=rested)
    finally:
        simulation.close()


def _start(plan: Plan, number: int, chance: Chance) -> Start:
    known = shapes(plan.profile)
    names = list(known)
    shape: Shape = known[names[int(chance.share(f"shape of {number}") * len(names))]]
    at = chance.share(f"start of {number}") * FAULTS_FOR_S * 0.6
    return Start(shape.definition, f"o{number}", f"k{number}", at, shape.stands, shape.pauses, shape.sends)


def _judged(plan: Plan, simulation: Simulation, chance: Chance, *, rested: bool) -> Ran:
    record = simulation.record(rested=rested)
    ran = Ran(plan, broken(record), chance.taken)
    ran.ends = Counter(str(claim.status) for claim in record.sagas)
    ran.parked = Counter(str(claim.park_cause) for claim in record.sagas if claim.park_cause)
    ran.attempts = len(simulation.ledger.sent)
    lines = "".join(f"{e.at:.6f} {e.named} {e.attempt} {e.action}\n" for e in simulation.ledger.entries)
    ran.digest = sha256(lines.encode()).hexdigest()[:16]
    return ran


def minimised(plan: Plan, faults: list[Fault], breaks: Callable[[Ran], bool]) -> list[Fault]:
    """As few of these faults as still break it (delta debugging, Zeller 1999)."""

    def fails(kept: list[Fault]) -> bool:
        return breaks(run(plan, Scripted({(f.point, f.number): f.name for f in kept}, seed=plan.seed)))

    if not fails(faults):
        return faults
    parts = 2
    while len(faults) > 1:
        size = max(1, len(faults) // parts)
        for begin in range(0, len(faults), size):
            rest = faults[:begin] + faults[begin + size :]
            if fails(rest):
                faults, parts = rest, max(2, parts - 1)
                break
        else:
            if size == 1:
                return faults
            parts = min(len(faults), parts * 2)
    return faults


def explained(ran: Ran) -> str:
    """A failing run in words: what broke, the faults that it takes, and the command."""
    first = ran.violations[0]
    needed = minimised(
        ran.plan, ran.faults, lambda r: any(v.invariant == first.invariant for v in r.violations)
    )
    path = "\n".join(f"    {fault}" for fault in needed)
    return f"{first}\n  it takes {len(needed)} of {len(ran.faults)} faults:\n{path}\n  replay: {ran.plan.command()}"


__all__ = ["Plan", "Ran", "collect_seldom", "engine", "explained", "minimised", "replace", "run"]

"""Every path with up to three faults, for every shape, with and without probe and dedup.

Rules that hold here: a path is the list of its faults, each at a point that the path before it has passed; each
path is run once, on the production worker; delays are the same in every run, so that only the faults differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from saga.testing.invariants import Violation, broken
from saga.testing.simulation.chance import Fault, Scripted
from saga.testing.simulation.network import (
    KILLED_AFTER,
    KILLED_BEFORE,
    LATE,
    LOST,
    NO_ANSWER,
    UNANSWERED,
)
from saga.testing.simulation.service import REFUSES
from saga.testing.simulation.simulation import Setting, Simulation, Start
from saga.testing.simulation.wire import BATCH_KILLED, BATCH_UNANSWERED
from tests.proof.runs import engine
from tests.proof.shapes import shapes

CALLS = (KILLED_BEFORE, KILLED_AFTER, LOST, UNANSWERED, LATE, REFUSES)
PROBES = (NO_ANSWER,)
BATCHES = (BATCH_KILLED, BATCH_UNANSWERED)
PROFILES = ("full", "forgets", "unasked", "once")
SHAPES = ("linear", "pair", "pivot", "nested")
LIMIT_S = 60.0

Script = tuple[tuple[str, int, str], ...]


@dataclass
class Walked:
    """What a walk has seen."""

    paths: int = 0
    violations: list[tuple[list[Fault], Violation]] = field(
        default_factory=list[tuple[list[Fault], Violation]]
    )


def walk(profile: str, shape: str, faults: int, first: tuple[int, int] = (0, 1)) -> Walked:
    """Every path of this shape with up to `faults` faults.

    first: (number, of): only the paths whose first fault is the number-th of each so many; for several processes.
    """
    walked = Walked()
    todo: list[tuple[Script, int]] = [((), 0)]
    while todo:
        script, passed = todo.pop()
        chance = Scripted({(point, number): name for point, number, name in script})
        found = _run(profile, shape, chance)
        if script or first[0] == 0:
            walked.paths += 1
            walked.violations += [(chance.taken, v) for v in found]
        if len(script) < faults:
            after = list(_after(chance, script, passed))
            todo += after if script else after[first[0] :: first[1]]
    return walked


def _after(chance: Scripted, script: Script, passed: int) -> Iterator[tuple[Script, int]]:
    """The paths with one fault more, at a later point."""
    for place in range(passed, len(chance.seen)):
        point, number, options = chance.seen[place]
        for name in options:
            yield (*script, (point, number, name)), place + 1


def _run(profile: str, shape: str, chance: Scripted) -> list[Violation]:
    setting = Setting(
        workers=1, lease=0.4, concurrency=4, call_faults=CALLS, probe_faults=PROBES, batch_faults=BATCHES,
    )  # fmt: skip
    simulation = Simulation(engine(profile), chance, setting)
    found = shapes(profile)[shape]
    try:
        simulation.start(Start(found.definition, "o", "k", 0.0, found.stands))
        rested = simulation.run(faults_until=0.0, limit=LIMIT_S)
        return broken(simulation.record(rested=rested))
    finally:
        simulation.close()

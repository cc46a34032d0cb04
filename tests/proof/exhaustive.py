"""Every path with up to three faults, for every shape, with and without probe and dedup.

Rules that hold here: a path is the list of its faults, each at a point that the path before it has passed; each
path is run once, on the production worker; delays are the same in every run, so that only the faults differ.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import sys
import time
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
from saga_worker.clocks import Pace
from tests.proof.runs import engine, keep_log
from tests.proof.shapes import shapes

CALLS = (KILLED_BEFORE, KILLED_AFTER, LOST, UNANSWERED, LATE, REFUSES)
PROBES = (NO_ANSWER,)
BATCHES = (BATCH_KILLED, BATCH_UNANSWERED)
PROFILES = ("full", "forgets", "unasked", "once")
"""With and without a probe, with and without dedup."""
SHAPES = ("linear", "pair", "pivot", "nested")
WAITS, WAITING = "waits", ("naps", "in_time")
"""And sagas that sleep, and wait for a signal."""
LIMIT_S = 150.0
SHOWN = 10
PATHS_A_COLLECTION = 300
LEASE_S = 4.0  # and no longer: the next worker has to come while the shapes' doubts may still last
PACE = Pace(beat=1.8, share=0.45, eager=12.0, look=12.0, round=3.0, reap=3.0)
"""As seldom as the lease allows: what an idle worker does is no part of a path, and costs most of its time."""

LOOK_EVERY_S = 0.5

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
        if walked.paths % PATHS_A_COLLECTION == 0:
            gc.collect()
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
            if not (
                name == BATCH_KILLED and "intents" in point
            ):  # it leaves what a kill before the request leaves, too
                yield (*script, (point, number, name)), place + 1


def _run(profile: str, shape: str, chance: Scripted) -> list[Violation]:
    setting = Setting(
        workers=1, lease=LEASE_S, pace=PACE, look_every=LOOK_EVERY_S, concurrency=1,
        call_faults=CALLS, probe_faults=PROBES, batch_faults=BATCHES,
        points=frozenset({"outcomes", "first_intents", "next_intents", "sagas"}),
    )  # fmt: skip
    simulation = Simulation(engine(profile), chance, setting)
    keep_log(simulation.logged)
    found = shapes(profile)[shape]
    try:
        simulation.start(Start(found.definition, "o", "k", 0.0, found.stands, found.pauses, found.sends))
        rested = simulation.run(faults_until=0.0, limit=LIMIT_S)
        return broken(simulation.record(rested=rested))
    finally:
        simulation.close()


SLICES = 6


def part(task: tuple[str, str, int, int]) -> tuple[str, str, Walked]:
    """One slice of one shape, in a process of its own."""
    profile, shape, number, faults = task
    gc.collect()
    gc.freeze()
    gc.disable()  # what a path leaves behind is collected between paths, once there is enough of it
    return profile, shape, walk(profile, shape, faults, (number, SLICES))


def main() -> int:
    """Walk them all."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.exhaustive", description=__doc__)
    parser.add_argument("--faults", type=int, default=3, help="at most so many in one path")
    parser.add_argument("--profile", choices=(*PROFILES, WAITS), default=None)
    parser.add_argument("--shape", choices=(*SHAPES, *WAITING), default=None)
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    options = parser.parse_args()
    begun, counts, broken_paths = time.monotonic(), dict[tuple[str, str], int](), 0
    kinds = [(profile, shape) for profile in PROFILES for shape in SHAPES]
    kinds += [(WAITS, shape) for shape in WAITING]
    tasks = [
        (profile, shape, number, options.faults)
        for profile, shape in kinds
        if options.profile in (None, profile) and options.shape in (None, shape)
        for number in range(SLICES)
    ]
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        for profile, shape, walked in pool.imap_unordered(part, tasks):
            counts[profile, shape] = counts.get((profile, shape), 0) + walked.paths
            for taken, violation in walked.violations:
                broken_paths += 1
                if broken_paths <= SHOWN:
                    path = "\n".join(f"    {fault}" for fault in taken)
                    print(f"{shape} on {profile}: {violation}\n{path}", flush=True)
    for (profile, shape), count in sorted(counts.items()):
        print(f"{count:>8}  {shape} on {profile}")
    print(
        f"{sum(counts.values())} paths with up to {options.faults} faults, {len(counts)} shapes of up to three steps"
        f" · {time.monotonic() - begun:.0f} s · {broken_paths} violations"
    )
    return int(broken_paths > 0)


if __name__ == "__main__":
    sys.exit(main())

"""`make sim RUNS= SEED= PROFILE= FAULTS=`: many sagas under seeded faults, and a last line that says what came of it.

RUNS is the number of sagas. Rules that hold here: a failing seed prints the command that replays it and its path
in words; the exit code is the number of violations, at most 1; the last line is the figure that the README quotes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.proof.profiles import PROFILES
from tests.proof.runs import Plan, Ran, collect_seldom, explained, run

SAGAS_A_RUN = 100
SHOWN = 5
RUNS_A_PROCESS = 150
"""A process is replaced after so many: what a run leaves behind is freed with it, and a long night needs no more memory."""


@dataclass
class Total:
    """The sum over all runs."""

    sagas: int = 0
    runs: int = 0
    faults: int = 0
    attempts: int = 0
    violations: int = 0
    ends: Counter[str] = field(default_factory=Counter[str])
    parked: Counter[str] = field(default_factory=Counter[str])
    kinds: Counter[str] = field(default_factory=Counter[str])
    digest: int = 0

    def add(self, ran: Ran) -> None:
        """One run more; the digest does not depend on the order in which they come."""
        self.sagas += sum(ran.ends.values())
        self.runs += 1
        self.faults += len(ran.faults)
        self.attempts += ran.attempts
        self.violations += len(ran.violations)
        self.ends += ran.ends
        self.parked += ran.parked
        self.kinds += Counter(fault.name for fault in ran.faults)
        self.digest ^= int(ran.digest, 16)


def plans(options: argparse.Namespace) -> Iterator[Plan]:
    """One run after the other, each with a seed of its own, over all profiles or over one."""
    names = [options.profile] if options.profile else list(PROFILES)
    left, number = options.runs, 0
    while left > 0:
        sagas = min(SAGAS_A_RUN, left)
        yield Plan(options.seed + number, names[number % len(names)], sagas, options.faults / 100)
        left, number = left - sagas, number + 1


def simulated(plan: Plan) -> tuple[Ran, str]:
    """One run, and its violations explained."""
    collect_seldom()
    ran = run(plan)
    return ran, explained(ran) if ran.violations else ""


def main() -> int:
    """Run them all."""
    options = _options()
    begun, total, shown = time.monotonic(), Total(), 0
    with multiprocessing.get_context("spawn").Pool(options.jobs, maxtasksperchild=RUNS_A_PROCESS) as pool:
        for ran, story in pool.imap_unordered(simulated, plans(options), chunksize=1):
            total.add(ran)
            if story and shown < SHOWN:
                shown += 1
                print(f"\n{story}\n", flush=True)
            if total.runs % 200 == 0:
                print(_line(total, options, begun), flush=True)
    for kind, count in sorted(total.kinds.items(), key=lambda item: -item[1]):
        print(f"{count:>9}  {kind}")
    print(_line(total, options, begun))
    return int(total.violations > 0)


def _line(total: Total, options: argparse.Namespace, begun: float) -> str:
    ends = ", ".join(f"{count} {end}" for end, count in sorted(total.ends.items()))
    in_doubt = total.parked["in_doubt"] / max(1, total.sagas)
    parked = ", ".join(f"{count} {cause}" for cause, count in sorted(total.parked.items())) or "none"
    return (
        f"{total.sagas} sagas in {total.runs} runs · seed {options.seed} · {options.profile or 'all profiles'} · "
        f"{options.faults:g} % of calls with a fault: {total.faults} faults in {total.attempts} attempts · "
        f"{ends} (parked: {parked}; in doubt: {in_doubt:.3%}) · {time.monotonic() - begun:.0f} s · hash {total.digest:016x} · "
        f"{total.violations} violations"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.proof.sim", description=__doc__)
    parser.add_argument("--runs", type=int, default=20_000, help="how many sagas")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--profile", choices=list(PROFILES), default=None, help="what the services promise")
    parser.add_argument("--faults", type=float, default=5.0, help="per cent of calls with a fault")
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

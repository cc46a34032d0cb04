"""Hunts mutants in processes of their own, two at a time, and tells what came of each."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.proof.mutants.catalogue import MUTANTS
from tests.proof.mutants.mutant import ROOT, Mutant

TIME_S = 600
CONTROL = 600
"""So many sagas does the code as it is run in each setting, or as many as a mutant needed there, if that is more."""
Setting = tuple[tuple[str, ...], float]
"""Profiles, and per cent of calls with a fault."""
_RUN = (
    "import sys; from tests.proof.mutants.mutant import lay_over; from tests.proof.mutants.catalogue import MUTANTS;"
    " [lay_over(m) for m in MUTANTS if m.name == sys.argv[1]];"
    " from tests.proof.mutants.hunting import main; main()"
)


@dataclass(frozen=True)
class Result:
    """What came of one hunt. invariants: none where nothing broke. error: why it could not be hunted."""

    name: str
    sagas: int
    invariants: tuple[str, ...] = ()
    says: str = ""
    command: str = ""
    error: str = ""


def hunted(name: str, setting: Setting, seed: int, budget: int) -> Result:
    """Hunt one mutant, or, under a name that none has, the code as it is."""
    profiles, faults = setting
    told = json.dumps({"seed": seed, "profiles": profiles, "faults": faults, "budget": budget})
    try:
        done = subprocess.run(
            [sys.executable, "-c", _RUN, name],
            input=told, capture_output=True, text=True, cwd=ROOT, timeout=TIME_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Result(name, 0, error=f"no end within {TIME_S} s")
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it ended without a word"]
        return Result(name, 0, error=last[0])
    said = json.loads(done.stdout)
    return Result(name, said["sagas"], tuple(said["invariants"]), said["says"], said["command"])


def setting_of(mutant: Mutant) -> Setting:
    """In which runs it is hunted."""
    return mutant.profiles, mutant.faults


def main() -> int:
    """Hunt them all."""
    options = _options()
    chosen = [m for m in MUTANTS if not options.only or m.name in options.only]
    begun = time.monotonic()
    with ThreadPoolExecutor(options.jobs) as pool:
        clean = _control(pool, dict.fromkeys([setting_of(m) for m in chosen], CONTROL), options.seed)
        results = []
        for mutant, result in zip(
            chosen,
            pool.map(lambda m: hunted(m.name, setting_of(m), options.seed, options.budget), chosen),
            strict=True,
        ):
            results.append(result)
            print(line(mutant, result), flush=True)
        longer = _longer(chosen, results)
        clean = _control(pool, longer, options.seed) and clean
    caught = sum(bool(r.invariants) for r in results)
    print(f"{time.monotonic() - begun:.0f} s · seed {options.seed} · up to {options.budget} sagas a mutant")
    print(f"{caught}/{len(chosen)} mutants caught")
    return int(caught < len(chosen) or not clean)


def _longer(chosen: Sequence[Mutant], results: Sequence[Result]) -> dict[Setting, int]:
    """Where a mutant was caught later than the code as it is has run."""
    found: dict[Setting, int] = {}
    for mutant, result in zip(chosen, results, strict=True):
        if result.invariants and result.sagas > CONTROL:
            where = setting_of(mutant)
            found[where] = max(found.get(where, 0), result.sagas)
    return found


def _control(pool: ThreadPoolExecutor, settings: dict[Setting, int], seed: int) -> bool:
    """Run the code as it is; whether it is clean."""
    clean = True
    runs = pool.map(lambda one: hunted("-", one[0], seed, one[1]), settings.items())
    for setting, result in zip(settings, runs, strict=True):
        profiles = ", ".join(setting[0]) or "all profiles"
        if result.invariants or result.error:
            clean = False
            print(
                f"BROKEN   the code as it is: {result.says or result.error}\n         {result.command}",
                flush=True,
            )
        else:
            print(
                f"clean    the code as it is: {result.sagas:>5} sagas, {setting[1]:g} %, {profiles}",
                flush=True,
            )
    return clean


def line(mutant: Mutant, result: Result) -> str:
    """What is printed of one."""
    if result.error:
        return f"BROKEN   {mutant.name}: {result.error}"
    if not result.invariants:
        return (
            f"SURVIVED {mutant.name}: nothing broke in {result.sagas} sagas ({mutant.rule}: {mutant.breaks})"
        )
    by = ", ".join(result.invariants)
    return (
        f"caught   {mutant.name:<30} {by:<16} after {result.sagas:>5} sagas  ({mutant.rule}: {mutant.breaks})"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.proof.mutants", description=__doc__)
    parser.add_argument("only", nargs="*", help="these alone")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--budget", type=int, default=10_000, help="sagas for each mutant")
    parser.add_argument("--jobs", type=int, default=2)
    return parser.parse_args()

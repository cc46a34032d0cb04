"""Hunts mutants in processes of their own, some at a time, and tells what came of each.

Rules that hold here: the code as it is comes first, in every kind of run; where a mutant was caught later than that has
run, it is run that far afterwards, so that nothing counts as caught that breaks by itself.
"""

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
from tests.proof.mutants.mutant import ROOT, Mutant, Runs

TIME_S = 600
CONTROL = 480
"""So many sagas of each kind does the code as it is run at least."""
PAGE = ROOT / "docs" / "mutants.md"
_RUN = (
    "import sys; from tests.proof.mutants.mutant import lay_over; from tests.proof.mutants.catalogue import MUTANTS;"
    " [lay_over(m) for m in MUTANTS if m.name == sys.argv[1]];"
    " from tests.proof.mutants.hunting import main; main()"
)


@dataclass(frozen=True)
class Result:
    """What came of one hunt. invariants: none where nothing broke. error: why it could not be hunted."""

    sagas: int
    invariants: tuple[str, ...] = ()
    says: str = ""
    command: str = ""
    error: str = ""


def hunted(name: str, runs: Runs, seed: int, budget: int) -> Result:
    """Hunt one mutant, or, under a name that none has, the code as it is."""
    told = json.dumps({"seed": seed, "profiles": runs.profiles, "faults": runs.faults, "budget": budget})
    try:
        done = subprocess.run(
            [sys.executable, "-c", _RUN, name],
            input=told, capture_output=True, text=True, cwd=ROOT, timeout=TIME_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Result(0, error=f"no end within {TIME_S} s")
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it ended without a word"]
        return Result(0, error=last[0])
    said = json.loads(done.stdout)
    return Result(said["sagas"], tuple(said["invariants"]), said["says"], said["command"])


def main() -> int:
    """Hunt them all."""
    options = _options()
    chosen = [m for m in MUTANTS if not options.only or m.name in options.only]
    begun = time.monotonic()
    results: list[Result] = []
    with ThreadPoolExecutor(options.jobs) as pool:
        clean = _control(pool, dict.fromkeys([m.runs for m in chosen], CONTROL), options.seed)
        hunts = pool.map(lambda m: hunted(m.name, m.runs, options.seed, options.budget), chosen)
        for mutant, result in zip(chosen, hunts, strict=True):
            results.append(result)
            print(line(mutant, result), flush=True)
        clean = _control(pool, _longer(chosen, results), options.seed) and clean
    caught = sum(bool(r.invariants) for r in results)
    if options.write and clean and caught == len(MUTANTS):
        PAGE.write_text(page(chosen, results, options.seed))
    print(f"{time.monotonic() - begun:.0f} s · seed {options.seed} · up to {options.budget} sagas a mutant")
    print(
        f"{caught}/{len(chosen)} mutants caught" + ("" if clean else ", and the code as it is is not clean")
    )
    return int(caught < len(chosen) or not clean)


def _longer(chosen: Sequence[Mutant], results: Sequence[Result]) -> dict[Runs, int]:
    """Where a mutant was caught later than the code as it is has run."""
    found: dict[Runs, int] = {}
    for mutant, result in zip(chosen, results, strict=True):
        if result.invariants and result.sagas > CONTROL:
            found[mutant.runs] = max(found.get(mutant.runs, 0), result.sagas)
    return found


def _control(pool: ThreadPoolExecutor, kinds: dict[Runs, int], seed: int) -> bool:
    """Run the code as it is; whether it is clean."""
    clean = True
    done = pool.map(lambda one: hunted("-", one[0], seed, one[1]), kinds.items())
    for runs, result in zip(kinds, done, strict=True):
        if result.invariants or result.error:
            clean = False
            broke = result.says or result.error
            print(f"BROKEN   the code as it is: {broke}\n         {result.command}", flush=True)
        else:
            print(f"clean    the code as it is: {result.sagas:>5} sagas, {runs}", flush=True)
    return clean


def line(mutant: Mutant, result: Result) -> str:
    """What is printed of one."""
    if result.error:
        return f"BROKEN   {mutant.name}: {result.error}"
    what = f"({mutant.rule}: {mutant.breaks})"
    if not result.invariants:
        return f"SURVIVED {mutant.name:<30} nothing broke in {result.sagas} sagas  {what}"
    by = ", ".join(result.invariants)
    return f"caught   {mutant.name:<30} {by:<16} after {result.sagas:>5} sagas  {what}"


def page(mutants: Sequence[Mutant], results: Sequence[Result], seed: int) -> str:
    """The page that shows them all."""
    rows = "".join(
        f"| `{m.name}` | {m.rule} | {m.breaks} | {', '.join(r.invariants)} | {r.sagas} | {m.runs} |\n"
        for m, r in zip(mutants, results, strict=True)
    )
    return f"""# Mutants

An oracle that never complains may be blind. So each of these bugs is planted into the production code as it is imported, one at a
time, and the simulation must catch it within 10,000 sagas; `make mutants` fails when one survives. The code as it is breaks
nothing in the very runs that catch them. Bugs in SQL are planted into the model of the statement, because the simulated database
runs models, which are held to Postgres by tests of their own.

Generated by `python -m tests.proof.mutants --write`, seed {seed}, {len(mutants)} of {len(mutants)} caught. The rules (S…) are
those of [settling](settling.md); the invariants (I…) are in `saga/testing/invariants`. A run has 60 sagas.

| mutant | rule | what it breaks | caught by | within so many sagas | services, calls with a fault |
| --- | --- | --- | --- | ---: | --- |
{rows}"""


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.proof.mutants", description=__doc__)
    parser.add_argument("only", nargs="*", help="these alone")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--budget", type=int, default=10_000, help="sagas for each mutant")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="write docs/mutants.md")
    return parser.parse_args()

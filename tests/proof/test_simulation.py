"""The simulation itself: it drives the production modules, it is deterministic, and it exercises every rule."""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import saga.core.decide
import saga.core.facts
import saga.core.unwind
import saga.testing
import saga_worker.settler
from saga.store import journal
from saga_worker import worker
from tests.proof import runs
from tests.proof.coverage import Lines
from tests.proof.profiles import PROFILES
from tests.proof.runs import Plan, run

ROOT = Path(__file__).parent.parent.parent
RULES = (saga.core.decide, saga.core.unwind, saga.core.facts)
SEEDS = 3
"""So many of each profile at most: it ends with the run that has exercised the last line."""
UNREACHABLE = {
    "return AwaitReply()": "a settler waits for its own call, and never asks meanwhile",
    "return Action.AWAIT": "the same",
    "return Stage.IN_FLIGHT": "the same",
    "return Action.SETTLE  # never sent": "only what waits for its service before its first intent: integration tests give it up",
    "done = [e.at": "thirty-one canaries settle every doubt of so few sagas before it is closed: see test_breakers.py",
    "return min((at for at": "the same",
    "raise IllegalTransition": "proven unreachable",
    "case _:  # pyright: ignore": "proven unreachable",
    "return _give_up(facts)  # S10": "a key that nobody can ask about outlives its few resends here",
    'return Park(f"the key is too old': "the same",
    "case _:": "the last of a match",
    "raise StillInDoubt": "a plan is frozen when everything is settled",
}
"""Lines of the rules that no simulation can reach, and why."""


def test_the_simulation_drives_the_production_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """What decides, writes and works in a run is what is shipped: each is seen at work."""
    seen: Counter[str] = Counter()

    def counted(module: Any, name: str) -> None:
        real = getattr(module, name)

        def call(*args: Any, **more: Any) -> Any:
            seen[name] += 1
            return real(*args, **more)

        monkeypatch.setattr(module, name, call)

    counted(saga_worker.settler, "decide")
    counted(journal, "write")
    counted(worker.Worker, "_one_life")
    run(Plan(3, "full", 10, 0.1))
    assert seen["decide"] > 10
    assert seen["write"] > 30
    assert seen["_one_life"] >= 3
    for name, module in list(sys.modules.items()):
        if name.startswith("saga_worker"):
            assert _file(module).is_relative_to(ROOT / "workers" / "saga_worker")


def _file(module: ModuleType) -> Path:
    return Path(str(module.__file__)).resolve()


def test_the_same_seed_gives_the_same_run() -> None:
    """Faults, ledger and ends: a failure can be replayed."""
    first, again, other = (run(Plan(seed, "successes", 20, 0.2)) for seed in (5, 5, 6))
    assert (first.digest, first.faults, first.ends) == (again.digest, again.faults, again.ends)
    assert first.digest != other.digest


def test_a_run_is_explained_by_the_faults_that_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted violation is cut down to the one fault that causes it, with the command that replays it."""

    def cries(record: Any) -> Any:
        return [v for v in [saga.testing.invariants.Violation("I0", "k1", "it was refused")]
                if any(e.action == "refused" for e in record.ledger.entries)]  # fmt: skip

    monkeypatch.setattr(runs, "broken", cries)
    ran = next(r for r in (run(Plan(seed, "full", 20, 0.2)) for seed in range(40)) if r.violations)
    story = runs.explained(ran)
    assert "it takes 1 of" in story
    assert "a refusal at call" in story
    assert f"SEED={ran.plan.seed}" in story


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_every_line_that_decides_is_exercised() -> None:
    """A rule that no run exercises is proven by none."""
    lines, missed = Lines(*RULES), ["all of them"]
    for seed, profile in itertools.product(range(SEEDS), PROFILES):
        with lines.watched():
            run(Plan(seed, profile, 60, 0.25))
        if not (missed := _missed(lines)):
            break
    assert missed == []


def _missed(lines: Lines) -> list[str]:
    return [
        f"{module}:{number} {text}"
        for module, numbers in lines.missed().items()
        for number in numbers
        if not any(known in (text := _line(module, number)) for known in UNREACHABLE)
    ]


def _line(module: str, number: int) -> str:
    return _file(sys.modules[module]).read_text().splitlines()[number - 1].strip()

"""A run is its seed: the same plan gives the same ledger, in this process and in any other."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.proof.mutants.mutant import ROOT
from tests.proof.runs import Plan, run

PLAN = "seed=11, profile={!r}, sagas=30, rate=0.25"
_ELSEWHERE = "from tests.proof.runs import Plan, run; print(run(Plan({})).digest)"


@pytest.mark.parametrize("profile", ["full", "liar", "once"])
def test_the_same_seed_gives_the_same_ledger(profile: str) -> None:
    """Operators included; whatever ran before, and however Python hashes its texts."""
    plan = Plan(11, profile, 30, 0.25)
    first = run(plan).digest
    again = run(plan).digest
    elsewhere = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE.format(PLAN.format(profile))],
        cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": "5"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert first == again == elsewhere.stdout.strip()

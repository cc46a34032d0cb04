"""An example that tells stories, run as a program: what it printed, and how each customer's saga ended."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from examples.checkout.processes import child_environment
from tests.support import repository

Endings = dict[str, dict[str, Any]]


def told(example: str) -> tuple[str, Endings]:
    """What it printed, and the endings by the customers' keys; it must have ended well."""
    run = subprocess.run(
        [sys.executable, "-m", f"examples.{example}", "--json"],
        cwd=repository.ROOT,
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout, {one["key"]: one for one in json.loads(run.stdout.splitlines()[-1])["endings"]}


def without(ending: dict[str, Any]) -> dict[str, bool]:
    """Which steps it did without, and whether a last good value took their place."""
    return {one["step"]: one["age"] is not None for one in ending["degraded"]}

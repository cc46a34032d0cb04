"""The order that somebody must approve, run as a program: it compares its ledgers and the customer's words itself."""

import subprocess
import sys

from examples.approval.stories import STORIES
from examples.checkout.processes import child_environment
from tests.support import repository


def test_the_example_runs_as_it_says() -> None:
    """`python -m examples.approval` from the root of the repository, with nothing set up."""
    done = subprocess.run(
        [sys.executable, "-m", "examples.approval"],
        cwd=repository.ROOT,
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("the end\n") == len(STORIES)
    ends = [
        line.rpartition(": ")[2] for line in done.stdout.split("the end\n") for line in line.splitlines()[:1]
    ]
    assert [word for word in ends if word in {"confirmed", "declined", "try_again"}] == [
        "confirmed", "declined", "try_again", "confirmed",
    ]  # fmt: skip
    assert "saga signal order-1 approval JSON" in done.stdout

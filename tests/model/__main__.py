"""`python -m tests.model`: explores the protocol and its twins. Needs Python and nothing else.

--trace TWIN    the shortest way to what the twin breaks, in words
--page          writes the tables of docs/model.md again
"""

from __future__ import annotations

import argparse
import sys

from tests.model import page
from tests.model.checker import Explored
from tests.model.twins import PROFILES, TWINS, explored, found
from tests.model.world import World


def main(arguments: list[str]) -> int:
    """0 if the protocol breaks nothing and every twin is caught."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.model", description="explore the protocol and its twins"
    )
    parser.add_argument("--trace", metavar="TWIN", choices=[twin.name for twin in TWINS])
    parser.add_argument("--page", action="store_true", help="write the tables of docs/model.md again")
    asked = parser.parse_args(arguments)
    if asked.trace is not None:
        sys.stdout.write(page.trace(asked.trace))
        return 0
    if asked.page:
        page.PAGE.write_text(page.written(page.PAGE.read_text()))
        return 0
    return _all()


def _all() -> int:
    bad = 0
    for profile in PROFILES:
        seen = explored(profile)
        bad += seen.violation is not None
        _say(f"{profile.name}: {seen.states:,} states, {seen.transitions:,} transitions, depth {seen.depth}, "
             f"{'no violation' if seen.violation is None else 'VIOLATED'}")  # fmt: skip
        _show(seen)
    for twin in TWINS:
        wrong = found(twin).violation
        caught = wrong is not None and wrong.invariant == twin.caught
        bad += not caught
        said = "not caught" if wrong is None else f"{wrong.invariant}, {len(wrong.trace)} steps"
        _say(f"without “{twin.without}” ({twin.rule}): {said}{'' if caught else ' — UNEXPECTED'}")
    return 1 if bad else 0


def _show(seen: Explored[World]) -> None:
    if seen.violation is not None:
        for number, words in enumerate(seen.violation.trace, 1):
            _say(f"{number:4}  {words}")
        _say(f"      broken: {seen.violation.invariant}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

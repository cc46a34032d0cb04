"""`python -m tests.chaos --seconds 120 --seed 7`: chaos on real processes; exit code 1 on any violation."""

from __future__ import annotations

import argparse
import sys

from tests.chaos.run import Asked, run


def main() -> int:
    """Read the arguments, and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="for how long faults come")
    parser.add_argument("--seed", type=int, default=7, help="of the schedule and of all dice")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--rate", type=float, default=30.0, help="sagas started a second")
    asked = parser.parse_args()
    return run(Asked(asked.seconds, asked.seed, asked.workers, asked.rate))


if __name__ == "__main__":
    sys.exit(main())

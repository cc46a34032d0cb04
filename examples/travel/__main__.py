"""`python -m examples.travel`: tells every story, and ends with 0 only if each ended as it must."""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from examples.travel.stage import raise_curtain
from examples.travel.stories import STORIES, Ending, WentWrong


def main() -> int:
    """Tell them; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m examples.travel", description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with a line of JSON: words and ledgers")
    given = parser.parse_args()
    began = time.monotonic()
    endings: list[Ending] = []
    try:
        with (
            tempfile.TemporaryDirectory(prefix="travel-") as directory,
            raise_curtain(Path(directory)) as stage,
        ):
            for number, story in enumerate(STORIES, 1):
                print(f"\n{number}. {story.__doc__}\n", flush=True)
                endings.append(story(stage))
    except (WentWrong, TimeoutError) as wrong:
        print(f"WENT WRONG: {wrong}", file=sys.stderr)
        return 1
    print(f"\nEvery story ended as it must, after {time.monotonic() - began:.1f} s.")
    if given.json:
        print(json.dumps({"v": 1, "stories": [asdict(ending) for ending in endings]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

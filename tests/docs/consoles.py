"""Console blocks of a page, played for real: what stands below each `$ saga …` is compared with what it prints now.

Rules: a block's commands run in the page's order, against one shop in trouble; `<!-- then: NAME -->` before a block makes
something happen first. Times, ages, ids and keys are not compared, nor the line that names the database. With DOCS=write
in the environment a test writes the page anew instead of failing.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

from saga.cli.main import main

BLOCK = re.compile(
    r"(?:<!-- then: (?P<then>\w+) -->\n)?^```console\n(?P<body>.*?)^```$", re.DOTALL | re.MULTILINE
)
PASSING = (
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}(?:-[0-9a-f]+)*", "ID"),
    (r"\bsk1_\w+…?", "KEY"),
    (r"\d\d:\d\d:\d\d(?:\.\d+)?", "TIME"),
    (r"\b\d+(?:\.\d+)?(?:ms|s|m|h|d)(?:\d+s)?\b", "AGE"),
    (r" +", " "),
)
"""What differs from run to run."""
NEWLINE = "\n"
HOW = "the page shows something else: run this test with DOCS=write in the environment"


def play(page: str, happenings: Mapping[str, Callable[[], None]]) -> str:
    """The page with every console block as it is now."""

    def again(block: re.Match[str]) -> str:
        then = block["then"]
        if then is not None:
            happenings[then]()
        commands = [line for line in block["body"].splitlines() if line.startswith("$ saga ")]
        comment = "" if then is None else f"<!-- then: {then} -->\n"
        return f"{comment}```console\n{NEWLINE.join(map(_run, commands))}```" if commands else block[0]

    return BLOCK.sub(again, page)


def compare(path: Path, now: str) -> None:
    """Fail where the page shows something else than what is printed now; write it where that is asked for."""
    if os.environ.get("DOCS") == "write":
        path.write_text(now)
    shown = [block["body"] for block in BLOCK.finditer(path.read_text())]
    for old, new in zip(shown, (block["body"] for block in BLOCK.finditer(now)), strict=True):
        gone, come = _lasting(old), _lasting(new)
        lines = [
            HOW,
            *(f"- {one}" for one in set(gone) - set(come)),
            *(f"+ {one}" for one in set(come) - set(gone)),
        ]
        assert gone == come, NEWLINE.join(lines)


def _run(line: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        main(shlex.split(line.removeprefix("$ saga ")))
    said = [one.rstrip() for one in out.getvalue().splitlines() if not one.startswith("database ")]
    return "\n".join([line, *said, ""])


def _lasting(text: str) -> list[str]:
    """The lines without what differs from run to run, in an order that ages do not change."""
    for pattern, word in PASSING:
        text = re.sub(pattern, word, text)
    return sorted(text.splitlines())

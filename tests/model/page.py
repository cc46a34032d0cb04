"""What docs/model.md shows of a run: what was explored, what each twin is caught by, and one trace.

Rules that hold here: the page is compared with these tables by a test, so that a number on it is one that was counted.
"""

from __future__ import annotations

from pathlib import Path

from tests.model.twins import PROFILES, TWINS, Twin, explored, found
from tests.model.world import Profile

PAGE = Path(__file__).resolve().parents[2] / "docs" / "model.md"
SHOWN = "budget-before-send"
BEGIN, END = "<!-- begin {} -->\n", "<!-- end {} -->\n"


def profile_row(profile: Profile) -> str:
    """What was explored of the protocol itself on one profile."""
    seen = explored(profile)
    wrong = 0 if seen.violation is None else 1
    return f"| {profile.name} | {seen.states:,} | {seen.transitions:,} | {seen.depth} | {seen.ends:,} | {wrong} |\n"


def twin_row(twin: Twin) -> str:
    """What a twin does wrong, and how soon it is caught."""
    wrong = found(twin).violation
    caught, steps = ("**nothing**", 0) if wrong is None else (wrong.invariant, len(wrong.trace))
    return f"| `{twin.name}` | {twin.rule} | {twin.does} | {caught} | {steps} |\n"


def profiles() -> str:
    """A row for each profile."""
    head = "| profile | states | transitions | depth | ends | violations |\n| --- | ---: | ---: | ---: | ---: | ---: |\n"
    return head + "".join(map(profile_row, PROFILES))


def twins() -> str:
    """A row for each twin."""
    head = "| twin | rule | what it does instead | caught by | steps |\n| --- | --- | --- | --- | ---: |\n"
    return head + "".join(map(twin_row, TWINS))


def trace(name: str) -> str:
    """The shortest way to what a twin breaks, in words."""
    twin = next(twin for twin in TWINS if twin.name == name)
    lines = [f"without “{twin.without}” ({twin.rule}), a protocol that {twin.does}; {twin.profile.name}:"]
    wrong = found(twin).violation
    if wrong is not None:
        lines += [f"{number:4}  {words}" for number, words in enumerate(wrong.trace, 1)]
        lines.append(f"      broken: {wrong.invariant}")
    return "\n".join(lines) + "\n"


def shown() -> str:
    """A trace as the page shows it."""
    return f"```text\n$ python -m tests.model --trace {SHOWN}\n{trace(SHOWN)}```\n"


TABLES = {"profiles": profiles, "twins": twins, "trace": shown}


def written(text: str) -> str:
    """The page with its tables as they are now."""
    for name, table in TABLES.items():
        begin, end = BEGIN.format(name), END.format(name)
        before, rest = text.split(begin)
        _, after = rest.split(end)
        text = before + begin + table() + end + after
    return text


def rows(name: str) -> list[str]:
    """The lines that the page has in one of its tables, without the head."""
    text = PAGE.read_text()
    begin, end = BEGIN.format(name), END.format(name)
    return text.split(begin)[1].split(end)[0].splitlines(keepends=True)[2:]

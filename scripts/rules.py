"""Prints which tests hold which rule: `make rules` writes it to docs/rules.md, and a test compares.

Rule: a test holds a rule when its name or its docstring names it (S17, s17); docs/settling.md says what the rule is.
"""

import ast
import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RULE = re.compile(r"(?<![A-Za-z0-9])[sS](\d{1,2})(?![0-9a-zA-Z])")
RANGE = re.compile(r"(?<![A-Za-z0-9])S(\d{1,2})\s*[-–]\s*S?(\d{1,2})(?![0-9])")
LAST = 40


def named_in(text: str) -> set[int]:
    """The numbers of the rules that a text names, ranges included."""
    found = {int(n) for n in RULE.findall(text)}
    for first, last in RANGE.findall(text):
        found |= set(range(int(first), int(last) + 1))
    return {n for n in found if 1 <= n <= LAST}


def tests_by_rule() -> dict[int, list[str]]:
    """The tests that hold each rule, as `file::name`."""
    found: dict[int, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                spoken = node.name.replace("_", " ") + "\n" + (ast.get_docstring(node) or "")
                for number in named_in(spoken):
                    found[number].append(f"{path.relative_to(ROOT).as_posix()}::{node.name}")
    return {number: sorted(found[number]) for number in range(1, LAST + 1)}


def sentences() -> dict[int, str]:
    """The beginning of each rule, from docs/settling.md."""
    text = (ROOT / "docs" / "settling.md").read_text()
    found: dict[int, str] = {}
    for number, rule in re.findall(r"^- \*\*S(\d+)\*\* (.*)$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", rule).replace("|", "/")
        found[int(number)] = re.split(r"(?<=[.;:])\s", plain, maxsplit=1)[0].rstrip(".;:")
    return found


def document() -> str:
    """The committed page."""
    said = sentences()
    lines = [
        "# Which test holds which rule",
        "",
        "Made by `make rules` from the tests' names and docstrings; a test compares. The rules: [settling.md](settling.md).",
        "",
        "| rule | begins | tests |",
        "| --- | --- | --- |",
    ]
    for number, tests in tests_by_rule().items():
        shown = "<br>".join(f"[{test.split('::')[1]}](../{test.split('::')[0]})" for test in tests)
        lines.append(f"| S{number} | {said[number]} | {shown} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())

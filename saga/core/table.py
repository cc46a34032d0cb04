"""Prints every rule for every combination of facts: `python -m saga.core.table > docs/transitions.md`.

The print is committed and compared by a test, so that a changed rule shows in review as changed lines.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum
from itertools import product

from saga.core.decide import Action, rule
from saga.core.facts import Asked, Budget, Facts, KeyLife, Means, Stage, Want
from saga.core.lifecycle import MOVES, Event
from saga.core.model import Direction, SagaStatus
from saga.core.promises import InDoubt

DIMENSIONS: tuple[type[StrEnum], ...] = (Stage, Want, Direction, Means, Budget, KeyLife, Asked, InDoubt)


def every_fact() -> Iterator[Facts]:
    """All combinations of facts."""
    for combination in product(*DIMENSIONS):
        yield Facts(*combination)  # type: ignore[arg-type]


def rows() -> list[tuple[tuple[str, ...], Action]]:
    """The table with the columns that do not matter for a row shown as `·`."""
    pending = {tuple(str(getattr(f, name)) for name in Facts.__slots__): rule(f) for f in every_fact()}
    for column in reversed(range(len(DIMENSIONS))):
        pending = _merge(pending, column)
    return sorted(pending.items(), key=_order)


def _merge(cells: dict[tuple[str, ...], Action], column: int) -> dict[tuple[str, ...], Action]:
    groups: dict[tuple[str, ...], dict[str, Action]] = {}
    for key, action in cells.items():
        rest = (*key[:column], "·", *key[column + 1 :])
        groups.setdefault(rest, {})[key[column]] = action
    merged: dict[tuple[str, ...], Action] = {}
    whole = len(DIMENSIONS[column])
    for rest, values in groups.items():
        if len(values) == whole and len(set(values.values())) == 1:
            merged[rest] = next(iter(values.values()))
        else:
            for value, action in values.items():
                merged[(*rest[:column], value, *rest[column + 1 :])] = action
    return merged


def _order(row: tuple[tuple[str, ...], Action]) -> list[int]:
    positions = [[str(m) for m in dimension] for dimension in DIMENSIONS]
    return [-1 if cell == "·" else positions[i].index(cell) for i, cell in enumerate(row[0])]


def effect_table() -> str:
    """The rules of an effect as a Markdown table."""
    names = ["stage", "want", "direction", "means", "budget", "key", "last probe", "in_doubt"]
    lines = [f"| {' | '.join(names)} | action |", "|" + " --- |" * (len(names) + 1)]
    lines += [f"| {' | '.join(cells)} | **{action}** |" for cells, action in rows()]
    return "\n".join(lines)


def saga_table() -> str:
    """A saga's moves as a Markdown table; `—` cannot happen."""
    lines = [f"| event | {' | '.join(SagaStatus)} |", "|" + " --- |" * (len(SagaStatus) + 1)]
    for event in Event:
        cells = [str(MOVES.get((status, event), "—")) for status in SagaStatus]
        lines.append(f"| {event} | {' | '.join(cells)} |")
    return "\n".join(lines)


def document() -> str:
    """The committed page."""
    return (
        "# Transitions\n\nMade by `make table` from `saga/core`; a test compares. `·`: any value.\n\n"
        f"## What is done next with an effect\n\n{effect_table()}\n\n## The life of a saga\n\n{saga_table()}\n"
    )


if __name__ == "__main__":
    sys.stdout.write(document())

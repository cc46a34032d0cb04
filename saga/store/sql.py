"""How a hand-written statement is kept: its text, what it locks, and the schema that it is bound to.

Rules that hold here: every statement says in its `note` which rows it locks, in what order, and what zero
rows means; names of tables are written `{s}.table` and qualified when bound. A lint test reads them all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

_all: list[Statement] = []


@dataclass(frozen=True, eq=False)
class Statement:
    """One SQL statement with psycopg's named parameters."""

    name: str
    note: str
    text: str
    bound: dict[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        """Register it, so that the lint test sees every statement."""
        _all.append(self)

    def on(self, schema: str) -> str:
        """The text for one schema."""
        if schema not in self.bound:
            self.bound[schema] = self.text.format(s=quote(schema))
        return self.bound[schema]


def statements() -> tuple[Statement, ...]:
    """Every statement of every module imported so far."""
    return tuple(_all)


@lru_cache
def quote(name: str) -> str:
    """A schema's name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'

"""Rows and their versions, tables, and the indexes that point at versions.

Rules that hold here: a version is a dict that is never changed in place, so that whoever holds it has the snapshot in
which it was read; a row has at most one version that is not committed, its writer's; an index points at versions, as
Postgres's do, and its readers pass over the dead.
"""

from __future__ import annotations

import itertools
from bisect import insort
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from saga.testing.store.messages import Refusal, Values

if TYPE_CHECKING:
    from saga.testing.store.transactions import Transaction

UNWRITTEN: Values = {}
"""Stands for `no draft`; None as a draft is a row that is being deleted."""


class Row:
    """One row. committed: what others see, None where it is not there. holder: the transaction that has its lock."""

    __slots__ = ("committed", "draft", "holder", "key", "table")

    def __init__(self, table: Table, key: object) -> None:
        self.table = table
        self.key = key
        self.committed: Values | None = None
        self.draft: Values | None = UNWRITTEN
        self.holder: Transaction | None = None


class Ordered:
    """Versions in the order of a time, for what is taken when it is due."""

    def __init__(self) -> None:
        self._entries: list[tuple[datetime, int, Row, Values]] = []
        self._numbers = itertools.count()

    def add(self, at: datetime, row: Row, version: Values) -> None:
        """Point at a version; those of one time stay in the order in which they were written."""
        insort(self._entries, (at, next(self._numbers), row, version))

    def due(self, latest: datetime | None) -> Iterator[tuple[Row, Values]]:
        """The versions up to a time, or all, that are committed or somebody's draft; nothing may be added meanwhile."""
        entries = self._entries
        dead = 0
        for _, _, row, version in entries:
            if row.committed is version or row.draft is version:
                break
            dead += 1
        if dead:
            del entries[:dead]
        for at, _, row, version in entries:
            if latest is not None and at > latest:
                return
            if row.committed is version or row.draft is version:
                yield row, version


class Table:
    """Rows by their primary key, and what a version must be. Subclasses keep the indexes."""

    def __init__(
        self,
        name: str,
        key: tuple[str, ...],
        required: tuple[str, ...],
        checks: dict[str, Callable[[Values], object]],
    ) -> None:
        self.name = name
        self.required = required
        self.checks = checks
        self.rows: dict[Any, Row] = {}
        self._key = key

    def key_of(self, values: Values) -> Any:
        """The primary key of a version."""
        key = self._key
        return values[key[0]] if len(key) == 1 else tuple([values[column] for column in key])

    def check(self, values: Values) -> None:
        """Raise what Postgres raises where a version must not be.

        Raises:
            Refusal: 23502, 23514.
        """
        for column in self.required:
            if values[column] is None:
                raise Refusal("23502", f'null value in column "{column}" of relation "{self.name}"')
        for name, holds in self.checks.items():
            if not holds(values):
                raise Refusal("23514", f'new row for relation "{self.name}" violates check "{name}"')

    def entered(self, row: Row, values: Values) -> None:
        """A row was put in: point at it by what never changes."""

    def left(self, row: Row, values: Values) -> None:
        """The row is gone: nothing may point at it any more."""

    def wrote(self, row: Row, values: Values) -> None:
        """A version was written: point at it."""

    def changed(self, row: Row, before: Values | None, after: Values | None) -> None:
        """A version took the place of another, by a commit or because a draft was thrown away."""

    def settle(self, row: Row, before: Values | None, after: Values | None) -> None:
        """After a commit or a rollback: let go of the version `before`, and of the row where nothing is left of it."""
        self.changed(row, before, after)
        if after is None and before is not None and self.rows.get(row.key) is row:
            del self.rows[row.key]
            self.left(row, before)

    def put_back(self, row: Row, values: Values | None) -> None:
        """Make `values` the committed version again: a commit was lost."""
        lost = row.committed
        if values is not None:
            values = dict(values)  # a version of its own: what pointed at the old one stays dead
            if lost is None:
                self.rows[row.key] = row
                self.entered(row, values)
            self.wrote(row, values)
        row.committed = values
        self.settle(row, lost, values)

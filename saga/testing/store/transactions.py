"""One transaction, READ COMMITTED: what it sees, the rows that it has locked, what it writes.

Rules that hold here: a statement reads all that it needs before it first waits, and a version never changes, so what it
has read is its snapshot; behind a lock it looks again at the newest version of the locked row, and only at that
(EvalPlanQual); every lock of the store's statements excludes every other, so a row has one holder.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from saga.testing.store.messages import Pause, Refusal, Values, Wait
from saga.testing.store.rows import UNWRITTEN, Row, Table
from saga.testing.store.tables import Tables

if TYPE_CHECKING:
    from saga.testing.store.database import Database
    from saga.testing.store.session import Session

Found: TypeAlias = tuple[Row, Values]
"""A row, and the version of it that a statement has."""
Fits: TypeAlias = Callable[[Values], object]
Change: TypeAlias = tuple[Row, "Values | None"]
"""A row that a commit changed, and what it was before."""


def always(_: Values) -> object:
    """What asks nothing but that the row is there."""
    return True


class Transaction:
    """What happens between BEGIN and COMMIT. `explicit`: begun by a BEGIN. Timeouts in milliseconds, 0 for none."""

    __slots__ = (
        "at", "database", "explicit", "failed", "held", "idle_ms", "lock_ms", "notified", "now", "session",
        "statement_ms", "tables", "waiters", "whole_ms",
    )  # fmt: skip

    def __init__(self, session: Session, *, explicit: bool) -> None:
        database = session.database
        self.session = session
        self.database: Database = database
        self.tables: Tables = database.tables
        self.at = database.timers.now()
        self.now: datetime = database.clock()
        self.explicit = explicit
        self.failed = False
        self.held: list[Row] = []
        self.waiters: list[Session] = []
        self.notified: dict[tuple[str, str], None] = {}
        self.lock_ms = self.statement_ms = self.idle_ms = self.whole_ms = 0

    # What it sees.

    def sees(self, row: Row) -> Values | None:
        """The version that a statement of this transaction sees now; None: no such row."""
        return row.draft if row.holder is self and row.draft is not UNWRITTEN else row.committed

    def find(self, table: Table, key: object) -> Values | None:
        """The version of the row under a primary key."""
        row = table.rows.get(key)
        return None if row is None else self.sees(row)

    def under(self, table: Table, key: object) -> list[Found]:
        """The row under a primary key with the version that is seen, or nothing."""
        row = table.rows.get(key)
        seen = None if row is None else self.sees(row)
        return [] if row is None or seen is None else [(row, seen)]

    def all(self, table: Table) -> list[Found]:
        """Every row of a table that is there."""
        seen = [(row, self.sees(row)) for row in table.rows.values()]
        return [(row, values) for row, values in seen if values is not None]

    # What it locks.

    def take(self, row: Row) -> bool:
        """Lock a row, unless another transaction has it."""
        if row.holder is None:
            row.holder = self
            self.held.append(row)
            return True
        return row.holder is self

    def lock(self, found: Iterable[Found], fits: Fits = always) -> Generator[Wait, None, list[Found]]:
        """Lock rows one after the other; those that still fit, in their newest versions. Waits."""
        if self.database.amid is not None:
            found = yield from self._amid(found)
        locked: list[Found] = []
        for row, seen in found:
            while not self.take(row):
                yield row
            newest = self.sees(row)
            if newest is not None and (newest is seen or fits(newest)):
                locked.append((row, newest))
        return locked

    def lock_free(self, found: Iterable[Found], fits: Fits, limit: int) -> Generator[Wait, None, list[Found]]:
        """Lock rows that nobody else has, up to a limit; those that still fit (SKIP LOCKED). Never waits."""
        if self.database.amid is not None:
            found = yield from self._amid(found)
        locked: list[Found] = []
        if limit <= 0:
            return locked
        for row, seen in found:
            if not self.take(row):
                continue
            newest = self.sees(row)
            if newest is not None and (newest is seen or fits(newest)):
                locked.append((row, newest))
                if len(locked) >= limit:
                    break
        return locked

    def _amid(self, found: Iterable[Found]) -> Generator[Wait, None, Iterable[Found]]:
        """Let others run between the look and the locks, where the hook says so."""
        assert self.database.amid is not None, "looked at before"
        seconds = self.database.amid(self.session)
        if self.session.ended is not None:
            raise self.session.ended  # the hook has ended it: nothing may be locked any more
        if seconds is not None:
            found = list(found)
            yield Pause(seconds)
        return found

    # What it writes.

    def write(self, row: Row, values: Values) -> None:
        """Give a locked row a new version.

        Raises:
            Refusal: 23502, 23514.
        """
        row.table.check(values)
        row.draft = values
        row.table.wrote(row, values)

    def change(
        self, found: Iterable[Found], fits: Fits, new: Callable[[Values], Values]
    ) -> Generator[Wait, None, list[Values]]:
        """UPDATE: give rows that fit a new version, one after the other; those versions. Waits.

        What a new version must be is asked before the row is waited for, and again where the row has changed meanwhile.

        Raises:
            Refusal: 23502, 23514.
        """
        if self.database.amid is not None:
            found = yield from self._amid(found)
        made: list[Values] = []
        for row, seen in found:
            values = new(seen)
            row.table.check(values)
            while not self.take(row):
                yield row
            newest = self.sees(row)
            if newest is not seen:
                if newest is None or not fits(newest):
                    continue
                values = new(newest)
                row.table.check(values)
            row.draft = values
            row.table.wrote(row, values)
            made.append(values)
        return made

    def delete(self, row: Row) -> None:
        """Delete a locked row."""
        row.draft = None

    def insert(self, table: Table, values: Values) -> Row:
        """Put in a row whose keys are known to be free."""
        key = table.key_of(values)
        row = table.rows.get(key)
        if row is None:
            row = table.rows[key] = Row(table, key)
            row.holder = self
            self.held.append(row)
            table.entered(row, values)
        row.draft = values
        table.wrote(row, values)
        return row

    def settled(self, look: Callable[[], Row | None]) -> Generator[Wait, None, bool]:
        """Whether a unique key is taken. Waits for whoever is just writing, or deleting, the row under it.

        look: the row under the key, at this moment.
        """
        while True:
            row = look()
            if row is None:
                return False
            if row.draft is UNWRITTEN or row.holder is self:
                return self.sees(row) is not None
            yield row

    def insert_new(self, table: Table, values: Values) -> Generator[Wait, None, Row]:
        """Put in a row under its primary key.

        Raises:
            Refusal: 23505 where it is taken, 23502, 23514.
        """
        table.check(values)
        key = table.key_of(values)
        if key in table.rows and (yield from self.settled(lambda: table.rows.get(key))):
            raise Refusal("23505", f'duplicate key value violates unique constraint "pk_{table.name}"')
        return self.insert(table, values)

    def insert_or_not(self, table: Table, values: Values) -> Generator[Wait, None, bool]:
        """Put in a row unless its primary key is taken (ON CONFLICT DO NOTHING); whether it was put in.

        Raises:
            Refusal: 23502, 23514.
        """
        table.check(values)
        key = table.key_of(values)
        if key in table.rows and (yield from self.settled(lambda: table.rows.get(key))):
            return False
        self.insert(table, values)
        return True

    def notify(self, channel: str, payload: str = "") -> None:
        """Tell the listeners of a channel, once, when this is committed."""
        self.notified[channel, payload] = None

    # How it ends.

    def commit(self, keep: list[Change] | None = None) -> None:
        """Make its versions everybody's. keep: is given what each row was before."""
        for row in self.held:
            draft = row.draft
            if draft is not UNWRITTEN:
                before = row.committed
                if keep is not None:
                    keep.append((row, before))
                row.committed = draft
                row.draft = UNWRITTEN
                if before is not None or draft is None:
                    row.table.settle(row, before, draft)
            row.holder = None
        self._release()
        if self.notified:
            self.database.tell(self)

    def rollback(self) -> None:
        """Throw its versions away."""
        for row in self.held:
            draft = row.draft
            row.draft = UNWRITTEN
            row.holder = None
            if draft is not UNWRITTEN and draft is not None:
                row.table.settle(row, draft, row.committed)
        self._release()

    def _release(self) -> None:
        self.held = []
        waiters, self.waiters = self.waiters, []
        for session in waiters:
            session.unblock()

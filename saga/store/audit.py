"""Who did what, when and why: insert-only, each entry bound to the one before by its digest.

Rules that hold here: an entry is written in the transaction of its act, so that neither is there without the other;
numbers have no gaps; two at once collide on the number, and the loser runs its whole transaction again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from saga.store.connections import Connection
from saga.store.sql import Statement

FIRST = ""
"""What the first entry has for a previous digest."""

LAST = Statement(
    "audit_last",
    "Locks nothing; who was faster is found at the insert. Never zero rows: NULLs before the first entry.",
    "SELECT now(), a.number, a.digest FROM (SELECT 1) one"
    " LEFT JOIN LATERAL (SELECT number, digest FROM {s}.audit ORDER BY number DESC LIMIT 1) a ON true",
)
APPEND = Statement(
    "audit_append",
    "Inserts one row; the number is unique, so of two at once one fails and runs again. Never zero rows.",
    "INSERT INTO {s}.audit (number, at, who, act, saga_id, because, detail, previous, digest)"
    " VALUES (%(number)s, %(at)s, %(who)s, %(act)s, %(saga_id)s, %(because)s, %(detail)s::json, %(previous)s,"
    " %(digest)s)",
)
_COLUMNS = "number, at, who, act, saga_id, because, detail, previous, digest"
ALL = Statement(
    "audit_all",
    "Locks nothing. Zero rows: nobody ever did anything.",
    f"SELECT {_COLUMNS} FROM {{s}}.audit ORDER BY number",
)
OF_SAGA = Statement(
    "audit_of_saga",
    "Locks nothing. Zero rows: no operator ever touched it.",
    f"SELECT {_COLUMNS} FROM {{s}}.audit WHERE saga_id = %(id)s ORDER BY number",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One act. `detail`: JSON text, as it was digested."""

    number: int
    at: datetime
    who: str
    act: str
    saga_id: UUID | None
    because: str
    detail: str
    previous: str
    digest: str

    @property
    def body(self) -> dict[str, Any]:
        """The detail, decoded."""
        body: dict[str, Any] = json.loads(self.detail)
        return body

    def expected_digest(self) -> str:
        """What the digest must be if nothing was touched."""
        saga_id = None if self.saga_id is None else str(self.saga_id)
        at = self.at.astimezone(UTC).isoformat()
        fields = [self.number, at, self.who, self.act, saga_id, self.because, self.detail, self.previous]
        return hashlib.sha256(json.dumps(fields).encode()).hexdigest()


async def append(
    connection: Connection,
    schema: str,
    *,
    who: str,
    act: str,
    saga_id: UUID | None,
    because: str,
    detail: dict[str, Any],
) -> Entry:
    """Add an entry, in the transaction of the act.

    Raises:
        psycopg.errors.UniqueViolation: somebody else was faster; run the transaction again.
    """
    row = await (await connection.execute(LAST.on(schema).encode())).fetchone()
    assert row is not None, "the statement always gives a row"
    now, number, digest = row
    entry = Entry((number or 0) + 1, now, who, act, saga_id, because, json.dumps(detail), digest or FIRST, "")
    entry = replace(entry, digest=entry.expected_digest())
    await connection.execute(APPEND.on(schema).encode(), asdict(entry))
    return entry


async def trail(connection: Connection, schema: str, saga_id: UUID | None = None) -> list[Entry]:
    """Every act, or every act on one saga, oldest first."""
    if saga_id is None:
        cursor = await connection.execute(ALL.on(schema).encode())
    else:
        cursor = await connection.execute(OF_SAGA.on(schema).encode(), {"id": saga_id})
    return [Entry(*row) for row in await cursor.fetchall()]


def broken_at(entries: Iterable[Entry]) -> int | None:
    """The number of the first entry that was changed, or before which one is missing; None: all is whole."""
    previous = FIRST
    for number, entry in enumerate(entries, 1):
        whole = entry.number == number and entry.previous == previous
        if not whole or entry.digest != entry.expected_digest():
            return number
        previous = entry.digest
    return None

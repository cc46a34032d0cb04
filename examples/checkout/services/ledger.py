"""A service's own book, in a file of its own, that outlives the process.

Rules: what is booked is on disk (`synchronous=FULL`) before any reply leaves. One process, one thread, one connection:
looking a key up and booking under it is one transaction and cannot be overtaken. A request counts as *not delivered*
until its reply was handed to an open connection; a crash in between leaves it so.
"""

import json
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TABLES = """
CREATE TABLE IF NOT EXISTS request (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, operation TEXT NOT NULL, reference TEXT NOT NULL, key TEXT,
    nth INTEGER NOT NULL, trouble TEXT, status INTEGER, delivered INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS request_of ON request (operation, reference);
CREATE INDEX IF NOT EXISTS request_under ON request (key);
CREATE TABLE IF NOT EXISTS effect (
    id TEXT PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, reference TEXT NOT NULL, key TEXT,
    undoes TEXT, detail TEXT NOT NULL, request INTEGER NOT NULL REFERENCES request);
CREATE TABLE IF NOT EXISTS refusal (
    at REAL NOT NULL, operation TEXT NOT NULL, reference TEXT NOT NULL, key TEXT, code TEXT NOT NULL,
    request INTEGER NOT NULL REFERENCES request);
CREATE TABLE IF NOT EXISTS memory (
    operation TEXT NOT NULL, key TEXT NOT NULL, sent TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (operation, key));
"""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request that has come in. `nth` counts the arrivals of its operation for its order, from 1."""

    id: int
    operation: str
    reference: str
    key: str | None
    nth: int


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be booked: an effect of this kind, perhaps one that undoes another."""

    id: str
    kind: str
    detail: dict[str, Any]
    undoes: str | None = None


@dataclass(frozen=True, slots=True)
class Remembered:
    """An answer that the service gave under a key, and what had been sent for it."""

    sent: str
    status: int
    body: dict[str, Any]


class Ledger:
    """The book of the service `name` in `directory`; made if it is not there."""

    def __init__(self, directory: Path, name: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(directory / f"{name}.sqlite3", isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(TABLES)

    def arrive(self, operation: str, reference: str, key: str | None) -> Arrival:
        """Books that a request came in, before anything is done about it."""
        with self._transaction():
            nth = (
                1
                + self._one(
                    "SELECT count(*) AS n FROM request WHERE operation = ? AND reference = ?",
                    operation,
                    reference,
                )["n"]
            )
            row = self._db.execute(
                "INSERT INTO request (at, operation, reference, key, nth) VALUES (?, ?, ?, ?, ?)",
                (time.time(), operation, reference, key, nth),
            )
        assert row.lastrowid is not None
        return Arrival(row.lastrowid, operation, reference, key, nth)

    def meet(self, arrival: Arrival, trouble: str) -> None:
        """Books which fault the request met."""
        self._db.execute("UPDATE request SET trouble = ? WHERE id = ?", (trouble, arrival.id))

    def delivered(self, arrival: Arrival, status: int) -> None:
        """Books that the reply was handed to a connection that was open."""
        self._db.execute("UPDATE request SET status = ?, delivered = 1 WHERE id = ?", (status, arrival.id))

    def recall(self, operation: str, key: str) -> Remembered | None:
        """The answer that is remembered under a key."""
        row = self._db.execute(
            "SELECT sent, status, body FROM memory WHERE operation = ? AND key = ?", (operation, key)
        ).fetchone()
        return None if row is None else Remembered(row["sent"], row["status"], json.loads(row["body"]))

    def reference_of(self, key: str) -> str:
        """The order for which a key came in first; the key itself where it never came in."""
        row = self._db.execute(
            "SELECT reference FROM request WHERE key = ? ORDER BY id LIMIT 1", (key,)
        ).fetchone()
        return key if row is None else str(row["reference"])

    def holds(self, effect: str, kind: str) -> bool:
        """Whether an effect of this kind and id was ever booked."""
        found = self._db.execute("SELECT 1 FROM effect WHERE id = ? AND kind = ?", (effect, kind)).fetchone()
        return found is not None

    def book(self, arrival: Arrival, entry: Entry, remember: Remembered | None) -> None:
        """Books an effect and, if given, the answer under the arrival's key: both or neither."""
        columns = (entry.id, time.time(), entry.kind, arrival.reference, arrival.key, entry.undoes)
        with self._transaction():
            self._db.execute(
                "INSERT INTO effect (id, at, kind, reference, key, undoes, detail, request)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*columns, json.dumps(entry.detail), arrival.id),
            )
            self._remember(arrival, remember)

    def refuse(self, arrival: Arrival, code: str, remember: Remembered | None) -> None:
        """Books a definite refusal and, if given, the answer under the arrival's key."""
        with self._transaction():
            self._db.execute(
                "INSERT INTO refusal (at, operation, reference, key, code, request) VALUES (?, ?, ?, ?, ?, ?)",
                (time.time(), arrival.operation, arrival.reference, arrival.key, code, arrival.id),
            )
            self._remember(arrival, remember)

    def read(self) -> dict[str, list[dict[str, Any]]]:
        """The whole book, oldest first."""
        return {
            "effects": self._all(
                "SELECT e.id, e.at, e.kind, e.reference, e.key, e.undoes, e.detail, r.delivered"
                " FROM effect e JOIN request r ON r.id = e.request ORDER BY e.at, e.id"
            ),
            "refusals": self._all(
                "SELECT f.at, f.operation, f.reference, f.key, f.code, r.delivered"
                " FROM refusal f JOIN request r ON r.id = f.request ORDER BY f.at"
            ),
            "requests": self._all(
                "SELECT id, at, operation, reference, key, nth, trouble, status, delivered FROM request ORDER BY id"
            ),
        }

    def _remember(self, arrival: Arrival, answer: Remembered | None) -> None:
        if answer is not None and arrival.key is not None:
            self._db.execute(
                "INSERT INTO memory (operation, key, sent, status, body) VALUES (?, ?, ?, ?, ?)",
                (arrival.operation, arrival.key, answer.sent, answer.status, json.dumps(answer.body)),
            )

    def _one(self, statement: str, *values: object) -> sqlite3.Row:
        row: sqlite3.Row = self._db.execute(statement, values).fetchone()
        return row

    def _all(self, statement: str) -> list[dict[str, Any]]:
        return [dict(row) for row in self._db.execute(statement)]

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._db)


class _Transaction:
    """BEGIN IMMEDIATE … COMMIT, or ROLLBACK when left by an exception. (sqlite3's own `with` never begins.)"""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")

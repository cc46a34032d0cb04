"""The server: tables, the clock, sessions, and what may befall all of them at once.

Rules that hold here: sessions run one statement at a time, in the order in which they can go on; nothing is left to
chance; what a failover loses are the newest commits and never one in the middle, because a log is read in order.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import TypeAlias

import psycopg

from saga.testing.store import models
from saga.testing.store.connection import Connection
from saga.testing.store.messages import Model, Notification, Values
from saga.testing.store.registry import frame, known
from saga.testing.store.rows import Row, Table
from saga.testing.store.session import Session
from saga.testing.store.tables import Tables
from saga.testing.store.timers import Timers
from saga.testing.store.transactions import Change, Transaction
from saga.testing.store.wire import Direct, Wire

EPOCH = datetime(2030, 1, 1, tzinfo=UTC)
"""The database's time when the world begins."""
DEADLOCK_S = 1.0
"""So long does a session wait for a lock before it looks for a circle, as Postgres does by default."""


class Fate(Enum):
    """What becomes of a COMMIT."""

    VERIFIED = auto()
    """It is durable, here and on the replica, and with it all that came before."""
    UNCONFIRMED = auto()
    """It is durable here; the replica has not confirmed it, and the client gets the WARNING 01000 with its answer."""
    ROLLED_BACK = auto()
    """It is rolled back without an error: the answer to COMMIT is ROLLBACK."""


Hook: TypeAlias = "Callable[[Session], float | None]"
"""Whether a session lets others run at this point: None, or for how many seconds; 0 for a turn."""


class Database:
    """One Postgres with one schema of the engine.

    Args:
        timers: the time that it lives by.
        schema: the schema's name.
        secret: what idempotency keys derive from.

    Attributes:
        up: whether it takes connections.
        offset: seconds by which its clock is off; a jump of the clock is a change of it.
        deadlock_s: seconds that a session waits before it looks for a deadlock.
        between: asked between two statements of one request.
        amid: asked inside a statement, between its look at the rows and their locks.
        fate: asked at each COMMIT of a transaction that wrote, what becomes of it.
    """

    def __init__(self, timers: Timers, *, schema: str = "saga", secret: str = "secret") -> None:  # noqa: S107 - of a simulated world
        """An empty database, as the migrations leave it."""
        self.timers = timers
        self.schema = schema
        self.tables = Tables()
        self.up = True
        self.offset = 0.0
        self.deadlock_s = DEADLOCK_S
        self.between: Hook | None = None
        self.amid: Hook | None = None
        self.fate: Callable[[Session], Fate] | None = None
        self.sessions: dict[int, Session] = {}
        self.unverified: list[list[Change]] = []
        models.load()
        self._models = known(schema)
        self._pids = itertools.count(1)
        self._runnable: deque[Session] = deque()
        self._running = False
        self.put(self.tables.setting, {"name": "secret", "value": secret})

    def put(self, table: Table, values: Values) -> None:
        """Put in a row behind everybody's back, as if it had always been there."""
        row = Row(table, table.key_of(values))
        table.put_back(row, values)

    def clock(self) -> datetime:
        """The time that it would give a transaction that begins now."""
        return EPOCH + timedelta(seconds=self.timers.now() + self.offset)

    def connect(self, wire: Wire | None = None) -> Connection:
        """A new session, and the client's end of it.

        Raises:
            psycopg.OperationalError: it is down.
        """
        if not self.up:
            raise psycopg.OperationalError("connection failed: connection refused")
        session = Session(self, next(self._pids))
        self.sessions[session.pid] = session
        return Connection(session, wire or Direct(self.timers))

    def model_of(self, text: bytes | str) -> Model:
        """How a statement is carried out.

        Raises:
            UnknownStatement: it is not modelled; the sentence names it.
        """
        found = self._models.get(text)
        return found if found is not None else frame(text)

    def overlay(self, change: Callable[[Model], Model]) -> None:
        """Carry statements out as `change` makes of their models: for whoever looks on."""
        self._models = {text: change(model) for text, model in self._models.items()}

    # Whose turn it is.

    def schedule(self, session: Session) -> None:
        """Let a session go on, behind those that can already."""
        self._runnable.append(session)
        if self._running:
            return
        self._running = True
        try:
            while self._runnable:
                self._runnable.popleft().go_on()
        finally:
            self._running = False

    # What befalls everybody.

    def crash(self) -> None:
        """Every session ends without a word; what was committed stays. It takes connections again at once."""
        for session in list(self.sessions.values()):
            session.terminate(None)

    def failover(self, survive: Callable[[int], int]) -> int:
        """The replica takes over: every session ends, and of the newest commits some are lost.

        Args:
            survive: is given how many commits the replica never confirmed, and says how many of them, from the
                oldest on, it has nevertheless.

        Returns:
            How many commits are lost.
        """
        self.crash()
        kept = survive(len(self.unverified))
        lost = self.unverified[kept:]
        self.unverified = []
        for changes in reversed(lost):
            for row, before in reversed(changes):
                row.table.put_back(row, before)
        return len(lost)

    def commit(self, transaction: Transaction) -> Fate:
        """End a transaction as its fate wants it."""
        if not transaction.held:
            transaction.commit()  # it wrote nothing, and waits for no replica
            return Fate.VERIFIED
        fate = Fate.VERIFIED if self.fate is None else self.fate(transaction.session)
        if fate is Fate.ROLLED_BACK:
            transaction.rollback()
        elif fate is Fate.UNCONFIRMED:
            changes: list[Change] = []
            transaction.commit(changes)
            self.unverified.append(changes)
        else:
            transaction.commit()
            self.unverified.clear()
        return fate

    def tell(self, transaction: Transaction) -> None:
        """Deliver what a transaction that is committed has notified."""
        for channel, payload in transaction.notified:
            notification = Notification(channel, payload, transaction.session.pid)
            for session in list(self.sessions.values()):
                if channel in session.listens:
                    session.push(notification)

    def ended(self, session: Session) -> None:
        """A session is no more."""
        self.sessions.pop(session.pid, None)

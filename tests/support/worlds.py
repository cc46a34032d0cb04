"""The model of the store in a world whose time a test moves, and whose sessions are spoken to without a client."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import Any

from saga.store import statements as sql
from saga.store.sql import Statement
from saga.testing.store import Database, Reply, Request, Session
from saga.testing.store.messages import Command, Refusal, Result
from tests.support.stores import NAME, saga_id, worker_id

ME = {"me": worker_id(0), "lane": 0}
CLAIM = (sql.CLAIM, {**ME, "room": 9, "names": [NAME], "versions": [1]})
TEXTS_OF_CHECKS = "57864cd5"


class Later:
    """One call that is due."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class ByHand:
    """Time that a test moves."""

    def __init__(self) -> None:
        self._now = 0.0
        self._numbers = itertools.count()
        self._due: list[tuple[float, int, Later]] = []

    def now(self) -> float:
        return self._now

    def later(self, seconds: float, callback: Callable[[], None]) -> Later:
        made = Later(callback)
        heapq.heappush(self._due, (self._now + seconds, next(self._numbers), made))
        return made

    def pass_by(self, seconds: float) -> None:
        """Let so much time pass, and happen what is due in it."""
        end = self._now + seconds
        while self._due and self._due[0][0] <= end:
            self._now, _, due = heapq.heappop(self._due)
            if due.callback is not None:
                due.callback()
        self._now = end


class World:
    """A database, and sessions that are spoken to without a client."""

    def __init__(self) -> None:
        self.time = ByHand()
        self.database = Database(self.time)
        self.replies: dict[int, list[Reply]] = {}

    def session(self) -> Session:
        session: Session = self.database.connect().session
        self.replies[session.pid] = []
        return session

    def put(self, table: str, values: dict[str, Any]) -> None:
        self.database.put(getattr(self.database.tables, table), values)

    def request(self, *what: Statement | str | tuple[Statement, dict[str, Any]]) -> Request:
        return Request([self._command(one) for one in what])

    def _command(self, one: Statement | str | tuple[Statement, dict[str, Any]]) -> Command:
        statement, values = one if isinstance(one, tuple) else (one, {})
        text = statement if isinstance(statement, str) else statement.on("saga")
        return Command(self.database.model_of(text), values)

    def send(
        self, session: Session, *what: Statement | str | tuple[Statement, dict[str, Any]]
    ) -> list[str | None]:
        """Run it; what the answers are, or [] while there is none."""
        before = len(self.replies[session.pid])
        session.run(self.request(*what), self.replies[session.pid].append)
        return self.said(session) if len(self.replies[session.pid]) > before else []

    def said(self, session: Session) -> list[str | None]:
        """The newest reply, word by word."""
        reply = self.replies[session.pid][-1]
        if reply.ended is not None:
            return [f"ended {reply.ended.sqlstate}"]
        return [word(answer) for answer in reply.answers]

    def saga(self, n: int) -> dict[str, Any] | None:
        row = self.database.tables.saga.rows.get(saga_id(n))
        return None if row is None else row.committed


def word(answer: Result | Refusal | None) -> str | None:
    return answer.sqlstate if isinstance(answer, Refusal) else None if answer is None else answer.status

"""One session: it runs requests, waits for locks, keeps its timeouts, and ends.

Rules that hold here: a client that vanishes is noticed when its running request is done; a session that is terminated
stops at once; timeouts count as Postgres's do, for a lock, for a statement, while idle in a transaction, for all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

from saga.testing.store.backend import Backend
from saga.testing.store.messages import (
    Block,
    Notification,
    Pause,
    Refusal,
    Reply,
    Request,
    Wait,
)
from saga.testing.store.timers import Cancel
from saga.testing.store.transactions import Transaction
from saga.testing.store.waiting import gone, limits_of

if TYPE_CHECKING:
    from saga.testing.store.database import Database
    from saga.testing.store.wire import Unasked

Answer = Callable[[Reply], None]


class Session(Backend):
    """One session of the database. `run` a request, `terminate` it, let its next statement fail.

    Attributes:
        pid: its number.
        blocked_by: the transaction whose end its statement waits for.
        listens: the channels that it listens to.
        heard: is given what the server says unasked; the client's connection sets it.
    """

    def __init__(self, database: Database, pid: int) -> None:
        super().__init__(database, pid)
        self.blocked_by: Transaction | None = None
        self.heard: Callable[[Unasked], None] | None = None
        self._work: Generator[Wait, None, None] | None = None
        self._queue: list[tuple[Request, Answer]] = []
        self._answer: Answer | None = None
        self._vanished = False
        self._interrupt: Refusal | None = None
        self._running = False
        self._timers: list[Cancel] = []

    # What clients and wires do.

    def run(self, request: Request, answer: Answer) -> None:
        """Carry out a request; `answer` is given the reply as soon as it is done."""
        if self.ended is not None:
            answer(Reply([], Block.IDLE, ended=self.ended))
            return
        self._queue.append((request, answer))
        if self._work is None:
            self._next()

    def cancel(self) -> None:
        """Stop the statement that is running, if one is (57014)."""
        if self._work is not None:
            self._stop(Refusal("57014", "canceling statement due to user request"))

    def vanish(self) -> None:
        """The client is gone: what is running runs to its end, then the session ends and rolls back."""
        self._vanished = True
        if self._work is None and self.ended is None:
            self._end(gone(None))

    def terminate(self, sqlstate: str | None = "57P01") -> None:
        """End it at once, in the middle of whatever it does; None: without a word, as in a crash."""
        if self.ended is None:
            self._end(gone(sqlstate))

    @property
    def busy(self) -> bool:
        """Whether a statement of it is running, or waits."""
        return self._work is not None

    # What the database does.

    def unblock(self) -> None:
        """The transaction that it waited for has ended."""
        if self.blocked_by is not None:
            self.blocked_by = None
            self._quiet()
            self.database.schedule(self)

    def go_on(self) -> None:
        """Run until it is done, or has to wait."""
        work = self._work
        if work is None or self.ended is not None or self.blocked_by is not None:
            return
        waits = self._resume_work(work)
        if self.ended is not None:
            work.close()  # a hook has ended it in the middle
            return
        if waits is None:
            self._done()
            return
        if isinstance(waits, Pause):
            self.database.timers.later(waits.seconds, self._resume)
        else:
            holder = waits.holder
            assert holder is not None, "nobody waits for a row that nobody has"
            self.blocked_by = holder
            holder.waiters.append(self)
            self._timers = limits_of(self, holder)

    def _resume_work(self, work: Generator[Wait, None, None]) -> Wait | None:
        """Go on with a request; what it waits for, or None when it is done."""
        interrupt, self._interrupt = self._interrupt, None
        self._running = True
        try:
            return next(work) if interrupt is None else work.throw(interrupt)
        except StopIteration:
            return None
        finally:
            self._running = False

    def push(self, notification: Notification) -> None:
        """Tell the client something unasked."""
        if self.heard is not None:
            self.heard(notification)

    def interrupt(self, refusal: Refusal) -> None:
        """A timeout or a deadlock ends the statement that waits."""
        if self.blocked_by is not None and self.ended is None:
            self._stop(refusal)

    # The course of one request.

    def _next(self) -> None:
        self._quiet()
        self._in_sync = False
        request, self._answer = self._queue.pop(0)
        self._work = self._course(request)
        self.database.schedule(self)

    def _resume(self) -> None:
        if self.ended is None:
            self.database.schedule(self)

    def _stop(self, refusal: Refusal) -> None:
        if self.blocked_by is not None:
            self.blocked_by.waiters.remove(self)
            self.blocked_by = None
        self._quiet()
        self._interrupt = refusal
        self.database.schedule(self)

    def _done(self) -> None:
        self._work = None
        self._interrupt = None  # it came too late
        if self._in_sync:
            self._hand_over()
        if self._work is not None:
            return  # whoever got the reply has sent the next one
        if self._queue:
            self._next()
        elif self._vanished:
            self._end(gone(None))
        elif self._transaction is not None:
            self._timers = limits_of(self, None)

    def _hand_over(self) -> None:
        reply = Reply(self._answers, self.block, tuple(self._notices))
        self._answers = []
        self._notices = []
        answer, self._answer = self._answer, None
        assert answer is not None, "a request has somebody who waits for its reply"
        answer(reply)

    # Its end.

    def _quiet(self) -> None:
        if self._timers:
            for timer in self._timers:
                timer.cancel()
            self._timers = []

    def end_by_timeout(self, sqlstate: str) -> None:
        """It was idle in its transaction, or in it at all, for too long."""
        if self.ended is None:
            self._end(gone(sqlstate))

    def _end(self, why: Refusal) -> None:
        self.ended = why
        self._quiet()
        if self.blocked_by is not None:
            self.blocked_by.waiters.remove(self)
            self.blocked_by = None
        work, self._work = self._work, None
        transaction, self._transaction = self._transaction, None
        self.database.ended(self)
        if work is not None and not self._running:
            work.close()
        if transaction is not None:
            transaction.rollback()
        waiting = [self._answer] if self._answer is not None else []
        for answer in [*waiting, *(answer for _, answer in self._queue)]:
            answer(Reply([], Block.IDLE, ended=why))
        self._answer = None
        self._queue = []
        if self.heard is not None and not self._vanished:
            self.heard(why)

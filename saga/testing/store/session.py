"""One backend: it runs requests, waits for locks, keeps its timeouts, and ends.

Rules that hold here: statements behind an error are skipped up to the sync; an aborted transaction's COMMIT answers
ROLLBACK; a client that vanishes is noticed when its running request is done; a session that is terminated stops at
once. Timeouts count as Postgres's do: for a lock, for a statement, while idle in a transaction, for all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

from saga.testing.store.messages import (
    Block,
    Command,
    Course,
    Notice,
    Notification,
    Pause,
    Refusal,
    Reply,
    Request,
    Result,
    Tag,
    Wait,
)
from saga.testing.store.timers import Cancel
from saga.testing.store.transactions import Transaction
from saga.testing.store.waiting import gone, limits_of

if TYPE_CHECKING:
    from saga.testing.store.database import Database
    from saga.testing.store.wire import Unasked

Answer = Callable[[Reply], None]


class Session:
    """One session of the database. `run` a request, `terminate` it, let its next statement fail.

    Attributes:
        pid: its number.
        ended: why there is no session any more, or None.
        blocked_by: the transaction whose end its statement waits for.
        listens: the channels that it listens to.
        heard: is given what the server says unasked; the client's connection sets it.
    """

    def __init__(self, database: Database, pid: int) -> None:
        self.database = database
        self.pid = pid
        self.ended: Refusal | None = None
        self.blocked_by: Transaction | None = None
        self.listens: dict[str, None] = {}
        self.heard: Callable[[Unasked], None] | None = None
        self._transaction: Transaction | None = None
        self._work: Generator[Wait, None, None] | None = None
        self._queue: list[tuple[Request, Answer]] = []
        self._answer: Answer | None = None
        self._answers: list[Result | Refusal | None] = []
        self._notices: list[Notice] = []
        self._skipping = False
        self._in_sync = True  # False: the rest of a pipeline is still to come
        self._vanished = False
        self._interrupt: Refusal | None = None
        self._began = 0.0
        self._timers: list[Cancel] = []
        self._fails: list[tuple[str, str | None]] = []

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
        if self._work is None:
            self._end(gone(None))

    def terminate(self, sqlstate: str | None = "57P01") -> None:
        """End it at once, in the middle of whatever it does; None: without a word, as in a crash."""
        if self.ended is None:
            self._end(gone(sqlstate))

    def fail_next(self, sqlstate: str, on: str | None = None) -> None:
        """Let the next statement fail. on: the next of this name, as `commit` or `fence`."""
        self._fails.append((sqlstate, on))

    @property
    def block(self) -> Block:
        """How it stands."""
        transaction = self._transaction
        if transaction is None or not transaction.explicit:
            return Block.IDLE
        return Block.FAILED if transaction.failed else Block.OPEN

    @property
    def in_sync(self) -> bool:
        """Whether it is done with all of a pipeline."""
        return self._in_sync

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
        try:
            interrupt, self._interrupt = self._interrupt, None
            waits = next(work) if interrupt is None else work.throw(interrupt)
        except StopIteration:
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

    def push(self, notification: Notification) -> None:
        """Tell the client something unasked."""
        if self.heard is not None:
            self.heard(notification)

    def interrupt(self, refusal: Refusal) -> None:
        """A timeout or a deadlock ends the statement that waits."""
        if self.blocked_by is not None and self.ended is None:
            self._stop(refusal)

    @property
    def began(self) -> float:
        """When the statement that is running began, in seconds."""
        return self._began

    @property
    def transaction(self) -> Transaction | None:
        """The transaction that is open."""
        return self._transaction

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

    def _course(self, request: Request) -> Generator[Wait, None, None]:
        database = self.database
        answers = self._answers
        between = database.between
        for command in request.commands:
            if between is not None and answers and not self._skipping:
                seconds = between(self)
                if seconds is not None:
                    yield Pause(seconds)
            if self._skipping:
                answers.append(None)
                continue
            try:
                course = self._carry_out(command)
                answers.append(course if isinstance(course, Result) else (yield from course))
            except Refusal as refusal:
                answers.append(refusal)
                self._fail()
        if request.sync:
            self._sync()

    def _carry_out(self, command: Command) -> Result | Course:
        """Begin a statement.

        Raises:
            Refusal: what the server says to it.
        """
        model = command.model
        if self._fails:
            self._fail_as_told(model.name)
        if model.frames is not None:
            return self._frame(model.frames, command)
        transaction = self._transaction
        if transaction is None:
            transaction = self._transaction = Transaction(self, explicit=False)
        elif transaction.failed:
            raise Refusal(
                "25P02", "current transaction is aborted, commands ignored until end of transaction block"
            )
        self._began = self.database.timers.now()
        return model.run(transaction, command.values)

    def _fail_as_told(self, name: str) -> None:
        for at, (sqlstate, on) in enumerate(self._fails):
            if on is None or on == name:
                del self._fails[at]
                raise Refusal(sqlstate, f"injected at {name}")

    def _frame(self, tag: Tag, command: Command) -> Result:
        transaction = self._transaction
        if tag is Tag.BEGIN:
            if transaction is None:
                self._transaction = Transaction(self, explicit=True)
            elif transaction.failed:
                raise Refusal("25P02", "current transaction is aborted")
            else:
                transaction.explicit = True
            return Result(Tag.BEGIN)
        if tag in {Tag.COMMIT, Tag.ROLLBACK}:
            self._transaction = None
            if transaction is None:
                return Result(tag)
            if tag is Tag.ROLLBACK or transaction.failed:
                transaction.rollback()
                return Result(Tag.ROLLBACK)
            return self._commit(transaction)
        assert tag is Tag.LISTEN, "the only other one"
        self.listens[command.values["channel"]] = None
        return Result(Tag.LISTEN)

    def _commit(self, transaction: Transaction) -> Result:
        fate = self.database.commit(transaction)
        if fate.name == "UNCONFIRMED":
            self._notices.append(
                Notice("01000", "canceling wait for synchronous replication due to user request")
            )
        return Result(Tag.ROLLBACK if fate.name == "ROLLED_BACK" else Tag.COMMIT)

    def _fail(self) -> None:
        self._skipping = True
        transaction = self._transaction
        if transaction is None:
            return
        if transaction.explicit:
            transaction.failed = True
            transaction.rollback()  # its locks go at once; the block stays until the client ends it
        else:
            self._transaction = None
            transaction.rollback()

    def _sync(self) -> None:
        """The end of a request: what was not begun by a BEGIN is committed."""
        self._in_sync = True
        self._skipping = False
        transaction = self._transaction
        if transaction is not None and not transaction.explicit:
            self._transaction = None
            self._commit(transaction)

    def _done(self) -> None:
        self._work = None
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
        if work is not None:
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

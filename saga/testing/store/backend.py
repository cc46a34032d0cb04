"""How a session carries out one request: statement by statement, in and out of transactions.

Rules that hold here: statements behind an error are skipped up to the sync; an error rolls back at once, and the block
stays until the client ends it; an aborted transaction's COMMIT answers ROLLBACK; what no BEGIN began ends at the sync.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, cast

from saga.testing.store.messages import (
    Block,
    Command,
    Course,
    Model,
    Notice,
    Pause,
    Refusal,
    Request,
    Result,
    Tag,
    Wait,
)
from saga.testing.store.transactions import Transaction

if TYPE_CHECKING:
    from saga.testing.store.database import Database
    from saga.testing.store.session import Session


class Backend:
    """The part of a session that carries out requests; `Session` says when.

    Attributes:
        database: whose it is.
        pid: its number.
        ended: why there is no session any more, or None.
        listens: the channels that it listens to.
    """

    def __init__(self, database: Database, pid: int) -> None:
        self.database = database
        self.pid = pid
        self.ended: Refusal | None = None
        self._session = cast("Session", self)  # nothing else is ever made of it
        self._transaction: Transaction | None = None
        self._answers: list[Result | Refusal | None] = []
        self._notices: list[Notice] = []
        self._skipping = False
        self._in_sync = True  # False: the rest of a pipeline is still to come
        self._began = 0.0
        self._fails: list[tuple[str, str | None]] = []
        self.listens: dict[str, None] = {}

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
    def began(self) -> float:
        """When the statement that is running began, in seconds."""
        return self._began

    @property
    def transaction(self) -> Transaction | None:
        """The transaction that is open."""
        return self._transaction

    def _course(self, request: Request) -> Generator[Wait, None, None]:
        answers = self._answers
        between = self.database.between
        for command in request.commands:
            if between is not None and answers and not self._skipping:
                seconds = between(self._session)
                if seconds is not None:
                    yield Pause(seconds)
            if self.ended is not None:
                return  # a hook has ended it in the middle
            if self._skipping:
                answers.append(None)
                continue
            try:
                course = self._carry_out(command)
                answers.append(course if isinstance(course, Result) else (yield from course))
            except Refusal as refusal:
                answers.append(refusal)
                self._fail(command.model)
        if request.sync and self.ended is None:
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
            return self._frame(model.frames)
        transaction = self._transaction
        if transaction is None:
            transaction = self._transaction = Transaction(self._session, explicit=False)
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

    def _frame(self, tag: Tag) -> Result:
        transaction = self._transaction
        if tag is Tag.BEGIN:
            if transaction is None:
                self._transaction = Transaction(self._session, explicit=True)
            elif transaction.failed:
                raise Refusal("25P02", "current transaction is aborted")
            else:
                transaction.explicit = True
            return Result(Tag.BEGIN)
        assert tag in {Tag.COMMIT, Tag.ROLLBACK}, "the only other ones"
        self._transaction = None
        if transaction is None:
            return Result(tag)
        if tag is Tag.ROLLBACK or transaction.failed:
            transaction.rollback()
            return Result(Tag.ROLLBACK)
        return self._commit(transaction)

    def _commit(self, transaction: Transaction) -> Result:
        fate = self.database.commit(transaction)
        if fate.name == "UNCONFIRMED":
            self._notices.append(
                Notice("01000", "canceling wait for synchronous replication due to user request")
            )
        return Result(Tag.ROLLBACK if fate.name == "ROLLED_BACK" else Tag.COMMIT)

    def _fail(self, model: Model) -> None:
        """Its locks go at once; the block stays until the client ends it, and does not where COMMIT itself failed."""
        self._skipping = True
        transaction = self._transaction
        if transaction is None:
            return
        transaction.rollback()
        if transaction.explicit and model.frames is not Tag.COMMIT:
            transaction.failed = True
        else:
            self._transaction = None

    def _sync(self) -> None:
        """The end of a request: what was not begun by a BEGIN is committed."""
        self._in_sync = True
        self._skipping = False
        transaction = self._transaction
        if transaction is not None and not transaction.explicit:
            self._transaction = None
            self._commit(transaction)

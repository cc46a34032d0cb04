"""Postgres of a service that a step owns: `classify`, and `transaction`, which knows whether COMMIT was written.

Rules that hold here: a connection that breaks raises the same exception before COMMIT and after it, so
`transaction` keeps account itself; before it was written nothing happened, after it nobody knows, unless the
server itself says that it rolled back (S6). A COMMIT of a transaction that had failed reports success and
stores nothing: that is seen before it is written. For psycopg 3 and for SQLAlchemy over it.
"""

from __future__ import annotations

from collections.abc import Generator
from types import TracebackType
from typing import Any, Self, TypeAlias

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy.exc import DBAPIError

from saga.errors import NotExecuted, Refused, Unknown
from saga.traces import said

_NEVER_CONNECTED = frozenset({"08001", "08004", "53300", "57P03"})
_ROLLED_BACK = frozenset({"40001", "40P01"})
_CONSTRAINT = "23"
_UNKNOWN_COMPLETION = "40003"
_SAYS_NOTHING = frozenset({"", "08", "57", "58", "XX"})
_ERRORS = (psycopg.Error, DBAPIError)

Steps: TypeAlias = Generator[Any, Any, None]


def classify(error: BaseException) -> Refused | NotExecuted | None:
    """What an exception of psycopg or SQLAlchemy proves about a step that ran *one* transaction.

    A lost connection proves nothing here, because the exception is the same before and after COMMIT: run the
    transaction in `transaction`, which tells the two apart, and raises the engine's own exceptions.
    Each proof carries its `rule`, such as "sqlstate 23505" or "psycopg never connected".
    """
    found = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(found, psycopg.Error):
        return None
    state = found.sqlstate or ""
    rule = f"sqlstate {state}"
    if state in _NEVER_CONNECTED or state in _ROLLED_BACK:
        return NotExecuted(said(found), rule=rule)
    if state.startswith(_CONSTRAINT):
        return Refused(type(found).__name__, found.diag.message_primary or "", rule=rule)
    connecting = isinstance(found, psycopg.errors.ConnectionTimeout) or found.pgconn is not None
    if not state and connecting:  # psycopg gives an error its pgconn only when it was raised while connecting
        return NotExecuted(said(found), rule="psycopg never connected")
    return None


def transaction(connection: Any) -> Transaction:
    """One transaction on `connection`, `with` or `async with`; commits at the end, rolls back on an exception.

    Args:
        connection: psycopg's Connection or AsyncConnection, or SQLAlchemy's Connection, Session, or their
            async kin, over psycopg. Not in autocommit, and not in a transaction already.

    Raises:
        NotExecuted: the connection was lost, or the server gave up (40001, 40P01), before COMMIT was written,
            or the server says that it rolled back.
        Refused: a constraint (23xxx) says no.
        Unknown: the connection was lost after COMMIT was written, or a replica did not confirm it.
        ValueError: autocommit, or a transaction is open already: what it did could not be told.
    """
    return Transaction(connection)


class Transaction:
    """See `transaction`. Its steps are generators that yield what a connection gives: a value, or an awaitable."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._driver: Any = None
        self._committing = False
        self._unconfirmed = False

    def __enter__(self) -> Self:
        _run(self._start())
        return self

    def __exit__(self, _: object, error: BaseException | None, __: TracebackType | None) -> None:
        _run(self._end(error))

    async def __aenter__(self) -> Self:
        await _arun(self._start())
        return self

    async def __aexit__(self, _: object, error: BaseException | None, __: TracebackType | None) -> None:
        await _arun(self._end(error))

    def _start(self) -> Steps:
        given = self._connection
        over_sqlalchemy = not _is(given, psycopg.Connection, psycopg.AsyncConnection)
        if over_sqlalchemy and given.in_transaction():
            raise ValueError("a transaction is open already: what it did could not be told")
        if over_sqlalchemy and hasattr(given, "flush"):  # a session
            given = yield given.connection()
        if over_sqlalchemy:
            self._driver = getattr(given, "sync_connection", given).connection.driver_connection
        else:
            self._driver = given
        if self._driver.autocommit:
            raise ValueError(
                "the connection is in autocommit: each statement would be a transaction of its own"
            )
        if self._status() not in (TransactionStatus.IDLE, TransactionStatus.UNKNOWN):
            raise ValueError("a transaction is open already: what it did could not be told")
        self._driver.add_notice_handler(self._notice)

    def _end(self, error: BaseException | None) -> Steps:
        try:
            if error is None:
                error = yield from self._flush()
            if error is not None:
                found = self._before_commit(error)
                yield from self._rollback()
                raise found from (None if found is error else error)
            yield from self._commit()
        finally:
            self._driver.remove_notice_handler(self._notice)

    def _flush(self) -> Generator[Any, Any, BaseException | None]:
        """What a session still has to write, before COMMIT is; its error, if any."""
        if not hasattr(self._connection, "flush"):
            return None
        try:
            yield self._connection.flush()
        except _ERRORS as error:
            return error
        return None

    def _commit(self) -> Steps:
        if self._status() is TransactionStatus.INERROR:
            yield from self._rollback()
            raise NotExecuted("a statement had failed, and its error was swallowed", rule="sql rolled back")
        if self._driver.closed:
            raise NotExecuted("the connection was lost before COMMIT was written", rule="sql before commit")
        self._committing = True
        try:
            yield self._connection.commit()
        except _ERRORS as error:
            found = self._after_commit(error)
            yield from self._rollback()
            raise found from error
        if self._unconfirmed:
            raise Unknown("committed, but no replica confirmed it: a failover would lose it")

    def _rollback(self) -> Steps:
        try:
            yield self._connection.rollback()
        except _ERRORS:
            return  # the connection is gone, and the transaction with it

    def _before_commit(self, error: BaseException) -> BaseException:
        """What `error` proves when COMMIT was not written; itself, when it is not this connection's."""
        if not isinstance(error, _ERRORS):
            return error
        if self._driver.closed:
            return NotExecuted(f"lost before COMMIT was written: {said(error)}", rule="sql before commit")
        if self._status() is not TransactionStatus.INERROR:
            return error
        return classify(error) or NotExecuted(f"rolled back: {said(error)}", rule="sql rolled back")

    def _after_commit(self, error: BaseException) -> BaseException:
        """What `error` proves when COMMIT was perhaps written: only the server's own word counts."""
        found = error.orig if isinstance(error, DBAPIError) else error
        state = getattr(found, "sqlstate", None) or ""
        if state[:2] in _SAYS_NOTHING or state == _UNKNOWN_COMPLETION or self._driver.closed:
            return Unknown(f"lost after COMMIT was written: {said(error)}")
        return classify(error) or NotExecuted(f"rolled back: {said(error)}", rule="sql rolled back")

    def _status(self) -> TransactionStatus:
        return TransactionStatus(self._driver.pgconn.transaction_status)

    def _notice(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        if self._committing and diagnostic.source_function == "SyncRepWaitForLSN":
            self._unconfirmed = True


def _is(value: object, *kinds: type) -> bool:
    return isinstance(value, kinds)


def _run(steps: Steps) -> None:
    """Run the steps of a blocking connection, which gives values."""
    value: Any = None
    try:
        while True:
            value = steps.send(value)
    except StopIteration:
        return


async def _arun(steps: Steps) -> None:
    """Run the steps of an async connection, which gives awaitables; their exceptions belong to the steps."""
    value: Any = None
    failed: BaseException | None = None
    while True:
        try:
            given = steps.send(value) if failed is None else steps.throw(failed)
        except StopIteration:
            return
        value = failed = None
        try:
            value = await given
        except BaseException as error:  # noqa: BLE001 - thrown into the steps
            failed = error

"""The journal: the one writer of a lane, by group commit.

Rules that hold here: nobody waits for a timer, a lone unit commits at once and a thousand share one commit;
a batch is exactly once, because its number lies in the worker's row and the fence refuses a ghost of it (S6);
only SQLSTATE classes 22 and 23 are a unit's own fault and are split until the culprit is alone, every other
error is the batch's and is run again; a fence that fails is final: the worker is declared dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Iterator
from datetime import datetime

import psycopg

from saga.clock import boottime
from saga.logs import log
from saga.store.batch import (
    Batch,
    ClaimRequest,
    Done,
    Lane,
    Row,
    fold,
    recover,
    write,
)
from saga.store.changes import DeclaredDead, NotStorable, Unit
from saga.store.connections import Connection
from saga.store.patience import answering, connect_within

BATCH_LIMIT = 500
RETRY_FIRST_S, RETRY_MOST_S = 0.05, 2.0
_LOCKED = ("55P03", "57014")  # its own limits on waiting: lock_timeout, statement_timeout
_VALUE_CLASSES = ("22", "23")
_FENCED = "22012"  # nothing but the fence divides
_SYNC_REP_WARNING = "01000"


class Journal:
    """Commits units in order, and claims for its lane in the same transactions.

    conninfo: libpq connection string. lane: who writes. beat: seconds between commits of an idle lane.
    wants: asked before each batch, how many sagas to claim, or None. claimed: is given the claimed rows.
    beaten: is told the local boot time from which the lease counts anew, and the database's now.
    """

    def __init__(
        self,
        conninfo: str,
        lane: Lane,
        *,
        beat: float,
        wants: Callable[[], ClaimRequest | None],
        claimed: Callable[[list[Row]], None],
        beaten: Callable[[float, float, datetime], None],
    ) -> None:
        """Open nothing yet; `run` does."""
        self._conninfo = conninfo
        self._lane = lane
        self._beat = beat
        self._wants = wants
        self._claimed = claimed
        self._beaten = beaten
        self._pending: list[Unit] = []
        self._wake = asyncio.Event()
        self._numbers = itertools.count(1)
        self._connection: Connection | None = None
        self._warned = False
        self._closing = False
        self._told, self._beaten_at = "", 0.0
        self.state = "working"
        self.dead = False
        self.commits = 0

    def submit(self, unit: Unit) -> None:
        """Queue a unit; its future is done when it is durable, or failed.

        Units of one turn of the event loop are written in one batch. After the worker was declared dead the
        future fails at once with `DeclaredDead`.
        """
        if self.dead:
            unit.done.set_exception(DeclaredDead())
            return
        self._pending.append(unit)
        self._wake.set()

    def poke(self) -> None:
        """Look now, because there may be something to claim."""
        self._wake.set()

    async def run(self) -> None:
        """Write batches until closed.

        Raises:
            DeclaredDead: the worker's row is gone; every waiting unit has failed with the same.
        """
        self._beaten_at = boottime()  # with the worker's registration
        try:
            while not (self._closing and not self._pending):
                await self._await_work()
                self._wake.clear()
                claim = self._wants()
                units = fold(self._pending, BATCH_LIMIT)
                if self._pending:
                    self._wake.set()
                if units or claim is not None or self.state != self._told or self._beats_in() <= 0:
                    await self._commit(units, claim)
        except BaseException:
            self._die()  # whatever ends the writer: nobody may wait for it for ever
            raise
        finally:
            await self._disconnect()

    def close(self) -> None:
        """Write what is pending, then let `run` return."""
        self._closing = True
        self._wake.set()

    async def _await_work(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._beats_in()):
                await self._wake.wait()
        await asyncio.sleep(0)  # what the same news has set in motion shares the batch

    def _beats_in(self) -> float:
        return self._beaten_at + self._beat - boottime()

    async def _commit(self, units: list[Unit], claim: ClaimRequest | None) -> None:
        """Write one batch; split it where a value is at fault."""
        boot, state = boottime(), self.state
        try:
            try:
                done = await self._write(units, claim, boot)
            except _ValueAtFault as fault:
                await self._split(units, claim, fault)
                return
        except BaseException:
            self._fail(units)  # those that are written already have their answer
            raise
        self.commits += 1
        self._told, self._beaten_at = state, boot
        self._beaten(boot, boottime(), done.now)
        for unit, written in zip(units, done.written, strict=True):
            if not unit.done.done():  # a waiter that was cancelled wants no answer
                unit.done.set_result(written)
        if claim is not None:
            self._claimed(done.claimed)

    async def _split(self, units: list[Unit], claim: ClaimRequest | None, fault: _ValueAtFault) -> None:
        """Write the halves, until the culprit is alone: only its own waiter hears of it."""
        if len(units) > 1:
            middle = len(units) // 2
            await self._commit(units[:middle], None)
            await self._commit(units[middle:], claim)
        elif units and not units[0].done.done():
            units[0].done.set_exception(NotStorable(str(fault)))

    async def _write(self, units: list[Unit], claim: ClaimRequest | None, boot: float) -> Done:
        """Run one batch until it is durable exactly once.

        Raises:
            _ValueAtFault: a unit's own, and nothing is written.
            DeclaredDead: the fence refused.
        """
        batch = Batch(next(self._numbers), self.state, units, claim)
        sent = False
        for pause in _pauses():
            writing = False
            try:
                connection = await self._connect()
                async with answering(connection, self._lane.patience_s):
                    done = await self._recover(connection, batch, boot) if sent else None
                    if done is None:
                        sent = writing = True
                        done = await write(connection, self._lane, batch, boot)
                        writing = False
                await self._confirm_replica(connection)
            except (psycopg.Error, UnicodeError) as error:
                await self._disconnect()  # its transaction may still be open there
                sqlstate = getattr(error, "sqlstate", None)
                # Only while it was written does a lock tell that it is not: `recover` waits for our own old transaction.
                if (
                    writing and sqlstate in _LOCKED and units
                ):  # somebody holds a saga's row, and we still live
                    batch, sent = await self._beat_between(batch), False
                    continue
                # A fence that refuses means dead, or a ghost of this very batch that came first: `recover` tells.
                if sqlstate != _FENCED and _value_at_fault(error):
                    raise _ValueAtFault(f"{sqlstate}: {error}") from error
                log.warning("journal_batch_failed", sqlstate=sqlstate, error=str(error).strip())
            else:
                return done
            await asyncio.sleep(pause)
        raise AssertionError("unreachable: the pauses never end")

    async def _beat_between(self, batch: Batch) -> Batch:
        """Keep the lease while a saga's row is locked by an outsider: a beat, and the batch under a new number.

        Raises:
            DeclaredDead: the worker's row is gone.
        """
        log.warning("journal_saga_locked", sagas=len({unit.saga_id for unit in batch.units}))
        boot = boottime()
        beat = await self._write([], None, boot)
        self._beaten(boot, boottime(), beat.now)
        return Batch(next(self._numbers), self.state, batch.units, batch.claim)

    async def _recover(self, connection: Connection, batch: Batch, boot: float) -> Done | None:
        try:
            return await recover(connection, self._lane, batch, boot)
        except LookupError:
            raise DeclaredDead from None

    async def _confirm_replica(self, connection: Connection) -> None:
        """After the replica's WARNING nothing may be sent before a commit that came without one (S6)."""
        while self._warned:
            log.warning("journal_commit_without_replica")
            again = Batch(next(self._numbers), self.state, [])
            self._warned = False
            try:
                async with answering(connection, self._lane.patience_s):
                    await write(connection, self._lane, again, boottime())
            except BaseException:
                self._warned = True  # still nobody has confirmed it
                raise

    async def _connect(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = await connect_within(self._conninfo, self._lane.patience_s)
            self._connection.add_notice_handler(self._noticed)
        return self._connection

    async def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                await self._connection.close()
            self._connection = None

    def _noticed(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        if diagnostic.sqlstate == _SYNC_REP_WARNING:
            self._warned = True

    def _die(self) -> None:
        self.dead = True
        self._fail(self._pending)
        self._pending.clear()

    @staticmethod
    def _fail(units: list[Unit]) -> None:
        for unit in units:
            if not unit.done.done():
                unit.done.set_exception(DeclaredDead())


class _ValueAtFault(Exception):
    """Postgres, or psycopg before it, refused a value of a unit."""


def _value_at_fault(error: Exception) -> bool:
    """Whether a value of a unit is to blame; psycopg itself refuses some before they are sent."""
    sqlstate = getattr(error, "sqlstate", None)
    if sqlstate is None:
        return isinstance(error, psycopg.DataError | UnicodeError)
    return str(sqlstate).startswith(_VALUE_CLASSES)


def _pauses() -> Iterator[float]:
    pause = RETRY_FIRST_S
    while True:
        yield pause
        pause = min(pause * 2, RETRY_MOST_S)

"""`Barrier`: one service's table of keys, and everything that is done with it.

Rules that hold here: a barrier is opened inside the transaction of the business, and before it locks
anything; a refusal is stored in a transaction of its own after the work was rolled back, and what is stored
is the answer, whoever stored it; nothing is removed that a late request could still ask for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any, TypeVar

from saga.barrier import rules, seam
from saga.barrier.guard import Guard, Held
from saga.barrier.records import BarrierError, Claim, Record, Side, State, encoded, hash_of
from saga.barrier.table import ddl
from saga.core.durations import Duration, parse, show
from saga.errors import Refused

C = TypeVar("C")
Begin = Callable[[], AbstractAsyncContextManager[C]]
"""Gives a connection in a transaction that commits at the end of the block, such as `AsyncEngine.begin`."""

SHORTEST = timedelta(days=1)


class Barrier:
    """The barrier of one service.

    Args:
        schema: where the table is.
        keeps: for how long a key is kept: longer than the longest time in which a request, a resend or a
            compensation may still come, and that includes sagas that wait for a person.
        wait: how long a request waits while another one holds its key, before `InProgress`; None: as long
            as it takes.

    Raises:
        BarrierError: `keeps` is less than a day.
    """

    def __init__(
        self, *, schema: str = "public", keeps: Duration = "90d", wait: Duration | None = None
    ) -> None:
        self.schema = schema
        self.keeps = parse(keeps)
        self.wait_ms = None if wait is None else int(parse(wait).total_seconds() * 1000)
        if self.keeps < SHORTEST:
            raise BarrierError(
                f"keeps={show(self.keeps)} is less than a day: a compensation that comes after its key is "
                "gone skips itself, and the effect stays for ever"
            )

    def action(self, connection: object, key: str, *, request: object, name: str = "") -> Guard:
        """The block around a forward action, for `with` and `async with`, inside the caller's transaction.

        Args:
            connection: a SQLAlchemy Session, AsyncSession, Connection or AsyncConnection, or a psycopg
                connection, in a transaction.
            key: the idempotency key: `call.key` of the step.
            request: what was asked, bytes or anything with JSON; only its hash is kept. None compares nothing.
            name: of the operation, for people, and so that one key for two operations is a mismatch.

        Raises:
            RequestMismatch: the key was used with another request (on entering).
            InProgress: another request holds the key for longer than `wait` (on entering).
            BarrierError: not in a transaction, or not Postgres.
        """
        return self.guard(connection, self.claim(key, Side.ACTION, request=request, name=name))

    def compensation(self, connection: object, key: str, *, request: object, name: str = "") -> Guard:
        """The block around a compensation. `key` is the *forward* key: `call.effect_key`.

        Where the action never came, it is fenced, and there is nothing to do: `mine` is False. See `action`.
        """
        return self.guard(connection, self.claim(key, Side.COMPENSATION, request=request, name=name))

    def claim(self, key: str, side: Side, *, request: object, name: str = "") -> Claim:
        """The key with what is compared, for the methods below."""
        return Claim(key, side, name, hash_of(name, request))

    def guard(self, connection: object, claim: Claim) -> Guard:
        """The block of a claim; see `action`."""
        return Guard(connection, self.schema, claim, self.wait_ms)

    async def once(
        self, begin: Begin[C], claim: Claim, work: Callable[[C, Held], Awaitable[object]]
    ) -> Record:
        """Do the work once, in a transaction with its row; a refusal is stored after the rollback.

        Args:
            begin: gives a connection in a transaction.
            claim: made with `claim`.
            work: gets the connection and what is held; what it returns is kept. It says no by raising
                `saga.Refused`.

        Returns:
            What the key holds: of this call, or of an earlier one. `answer()` gives the result or raises.

        Raises:
            RequestMismatch, InProgress: see `action`. Whatever `work` raises: then nothing was stored.
        """
        try:
            async with begin() as connection, self.guard(connection, claim) as held:
                if held.mine:
                    held.keep(await work(connection, held))
        except Refused as refused:
            async with begin() as connection:
                return await self.refuse_async(connection, claim, refused)
        return held.record

    def refuse(self, connection: object, claim: Claim, refused: Refused) -> Record:
        """Store a refusal, in a transaction of its own and after the work was rolled back.

        Returns:
            What the key holds now. Not always this refusal: another request may have come in between, and
            what it stored is the answer to both. Call `answer()` after the commit: it raises, and would roll
            back what was just stored.
        """
        return seam.drive(connection, self.schema, self._refuse(claim, refused))

    async def refuse_async(
        self, connection: object, claim: Claim, refused: Refused, reply: str | None = None
    ) -> Record:
        """The same over a connection that is awaited; see `refuse`."""
        return await seam.drive_async(connection, self.schema, self._refuse(claim, refused, reply))

    def _refuse(self, claim: Claim, refused: Refused, reply: str | None = None) -> rules.Steps[Record]:
        entered = yield from rules.enter(claim, self.wait_ms)
        if not entered.mine:
            return entered.record
        said = encoded({"code": str(refused.code), "message": str(refused.message)})
        return (yield from rules.leave(entered, State.REFUSED, said, reply))

    def look(self, connection: object, key: str, side: Side = Side.ACTION) -> Record | None:
        """What was committed under the key. None proves nothing: the request may be on its way (S13)."""
        return seam.drive(connection, self.schema, rules.look(key, side))

    async def look_async(self, connection: object, key: str, side: Side = Side.ACTION) -> Record | None:
        """The same over a connection that is awaited; see `look`."""
        return await seam.drive_async(connection, self.schema, rules.look(key, side))

    def fence(self, connection: object, key: str) -> Record:
        """Make sure that the action never runs, unless it is there already; what the key holds.

        Raises:
            InProgress: a request holds the key for longer than `wait`.
        """
        return seam.drive(connection, self.schema, rules.fence(Claim(key).key, self.wait_ms))

    async def fence_async(self, connection: object, key: str) -> Record:
        """The same over a connection that is awaited; see `fence`."""
        return await seam.drive_async(connection, self.schema, rules.fence(Claim(key).key, self.wait_ms))

    def purge(self, connection: object, *, older_than: Duration | None = None, most: int = 1000) -> int:
        """Remove keys that nobody can ask for any more, in one batch; how many rows it was.

        Args:
            connection: in a transaction; commit after each batch.
            older_than: by default `keeps`, and never less.
            most: keys of one batch. Call again until it gives 0.

        Raises:
            BarrierError: `older_than` is less than `keeps`.
        """
        return seam.drive(connection, self.schema, self._purge(older_than, most))

    async def purge_async(
        self, connection: object, *, older_than: Duration | None = None, most: int = 1000
    ) -> int:
        """The same over a connection that is awaited; see `purge`."""
        return await seam.drive_async(connection, self.schema, self._purge(older_than, most))

    def _purge(self, older_than: Duration | None, most: int) -> rules.Steps[int]:
        age = self.keeps if older_than is None else parse(older_than)
        if age < self.keeps:
            raise BarrierError(
                f"older_than={show(age)} is less than keeps={show(self.keeps)}: a late request would run "
                "again, and a late compensation would skip itself"
            )
        return rules.purge(age.total_seconds(), most)

    def create(self, connection: Any) -> None:
        """Make the table, for tests and for services without migrations; `ddl` is what a migration runs.

        Args:
            connection: a sync psycopg or SQLAlchemy connection; commit afterwards.
        """
        execute = getattr(connection, "exec_driver_sql", None) or connection.execute
        for statement in ddl(self.schema).split(";\n"):
            if statement.strip():
                execute(statement)

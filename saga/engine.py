"""`Engine`: what a service embeds. It starts sagas and tells what came of them; workers run them.

Rules that hold here: an explicit registry and no global; nothing is migrated and nothing is opened when it is
built; everything the command line does is a method here, or of `operator`, first.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterable, Mapping
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar
from uuid import UUID

import psycopg

from saga import database, sending
from saga.answers import Answer
from saga.core.durations import Duration
from saga.core.keys import input_hash
from saga.definition import SagaDefinition
from saga.errors import KeyConflict
from saga.handle import Handle
from saga.ids import uuid7
from saga.registry import Registry
from saga.signals import Signal
from saga.starting import How, check_key, how
from saga.store import bulk, revisions, signals, starts, urls, views
from saga.store.connections import Connection, connect, verified
from saga.store.patience import ANSWER_WITHIN_S, answering
from saga.store.pool import Pool
from saga.store.starts import NewSaga, Started
from saga.store.views import SagaState

if TYPE_CHECKING:
    from saga.blocking import BlockingEngine
    from saga.operator import Operator

In = TypeVar("In")
Out = TypeVar("Out")

CONNECTIONS = 16
"""So many connections are open at once, in each event loop."""


class Engine:
    """Starts sagas and answers for them.

    Args:
        url: of the Postgres database, or `embedded:DIR`; else `SAGA_DATABASE_URL`, else an existing `./.saga`.
        sagas: every definition that may be started or run.
        schema: the engine's own schema in that database.
        namespace: part of every idempotency key; set it apart for two engines that call the same services.
        secret: what idempotency keys derive from; by default the one in the database.
        connections: so many are open at once in each event loop, and kept; who comes when all are taken waits.

    Raises:
        DefinitionError: with every problem of every definition.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        sagas: Iterable[SagaDefinition[Any, Any]],
        schema: str = "saga",
        namespace: str = "default",
        secret: str | None = None,
        connections: int = CONNECTIONS,
    ) -> None:
        if connections < 1:
            raise ValueError(f"connections={connections}: an engine needs at least one")
        self.registry = Registry(sagas)
        self.schema = schema
        self.namespace = namespace
        self._url = url
        self._secret = None if secret is None else secret.encode()
        self._pool = Pool(self.connect, connections)

    # Where.

    def use(self, url: str) -> None:
        """Point an engine that nobody has used yet at another database: `saga worker run --database`."""
        self._url = url
        self.__dict__.pop("url", None)

    @cached_property
    def url(self) -> str:
        """The Postgres URL; an embedded database is started when it is first asked for.

        Raises:
            SagaError: nobody said which database, or it cannot be had.
        """
        return database.resolved(database.chosen(self._url))

    @property
    def conninfo(self) -> str:
        """The same for libpq."""
        return urls.conninfo(self.url)

    @property
    def secret(self) -> bytes:
        """What idempotency keys derive from; known after `prepare`."""
        assert self._secret is not None, "prepare() reads it"
        return self._secret

    async def prepare(self) -> None:
        """Check that the database is there and its schema is ours.

        Raises:
            DatabaseUnreachable, SchemaMismatch: with a sentence that says what to do.
        """
        await asyncio.to_thread(revisions.require, self.url, self.schema)
        if self._secret is None:
            async with self._answering() as connection:
                self._secret = await views.secret(connection, self.schema)

    async def __aenter__(self) -> Self:
        await self.prepare()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections of this event loop."""
        await self._pool.close()

    async def connect(self) -> Connection:
        """A connection of the caller's own.

        Raises:
            DatabaseUnreachable: nothing answers.
        """
        try:
            return await connect(self.conninfo)
        except psycopg.OperationalError as error:
            raise urls.unreachable(self.url, error) from None

    def connection(self) -> contextlib.AbstractAsyncContextManager[Connection]:
        """A connection for one piece of work, kept for the next when it is still good. Never ask for another meanwhile."""
        return self._pool.connection()

    @contextlib.asynccontextmanager
    async def _answering(self) -> AsyncGenerator[Connection]:
        """The same, for what is answered within a time or fails."""
        async with self.connection() as connection, answering(connection, ANSWER_WITHIN_S):
            yield connection

    # What.

    def definition(self, name: str, version: int | None = None) -> SagaDefinition[Any, Any]:
        """The definition; the highest version where none is said.

        Raises:
            NotFoundError: this engine has none; the sentence names those it has.
        """
        return self.registry.find(name, version)

    def registry_serves(self) -> tuple[list[str], list[int]]:
        """Names and versions of all definitions, side by side."""
        pairs = list(self.registry.sagas)
        return [name for name, _ in pairs], [version for _, version in pairs]

    async def start(
        self,
        saga: SagaDefinition[In, Out],
        input: In,
        *,
        key: str,
        within: object = None,
        after: Duration | None = None,
        at: datetime | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Handle[Out]:
        """Start a saga: one row, in the caller's transaction where `within` gives one.

        It starts, and ends, under the version of the definition that is given. The same key with the same input gives the
        same saga, whichever version it was started under. A second starter waits while the first one's
        transaction is open; serialization failures and deadlocks (40001, 40P01) are passed on untouched.

        Args:
            saga: the definition.
            input: its one argument.
            key: the business key, unique per saga name over all its versions.
            within: a SQLAlchemy Session, AsyncSession, Connection, AsyncConnection, Django's `connection`, or a psycopg connection.
            after: begin so long from now, not at once; until then it costs no worker anything, and its deadline does not count.
            at: begin at this time, which has a time zone; one that is past is now.
            tags: what it is found by, {"tenant": "acme"}: at most 16, of 50 and 200 characters. The first start decides.

        Raises:
            InputError: the input has the wrong shape, or its begin or tags cannot be meant; nothing was written.
            KeyConflict: the key was used with another input; the caller's transaction is unharmed.
            SagaError: `within` is in autocommit, or not Postgres.
            psycopg.OperationalError: no answer, or none in 20 s; start again under the same key.
        """
        new = self.new(saga, input, key, how(after, at, tags))
        if within is not None:
            return self.started(saga, new, await starts.start_async(within, self.schema, new), within=True)
        async with self._answering() as connection, verified(connection):
            started = await starts.start_own(connection, self.schema, new)
        return self.started(saga, new, started, within=False)

    async def start_many(
        self,
        saga: SagaDefinition[In, Out],
        inputs: Iterable[tuple[str, In]],
        *,
        after: Duration | None = None,
        at: datetime | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> list[Handle[Out]]:
        """Start many sagas of one definition in one transaction: all of them, or none.

        Args:
            saga: the definition.
            inputs: business key and input of each. A pair that comes twice, or was started before, gives the same saga.
            after: as for `start`, the same for all.
            at: as for `start`, the same for all.
            tags: as for `start`, the same for all.

        Returns:
            The handles, in the order of `inputs`.

        Raises:
            InputError: an input has the wrong shape; nothing was written.
            KeyConflict: a key was used with another input, before or in `inputs`; nothing was written.
        """
        alike = how(after, at, tags)
        asked = [self.new(saga, value, key, alike) for key, value in inputs]
        new: dict[str, NewSaga] = {}
        for one in asked:
            if new.setdefault(one.key, one).input_hash != one.input_hash:
                raise _conflict(one)
        async with self._answering() as connection, verified(connection):
            started = await bulk.start_many(connection, self.schema, list(new.values()))
            return [self.started(saga, one, started[one.key], within=False) for one in asked]

    async def send(
        self, saga: SagaDefinition[Any, Any], signal: Signal[In], payload: In, *, to: str, key: str | None = None,
    ) -> None:  # fmt: skip
        """Send a signal to the saga whose business key is `to`. As `Handle.send`, which says what is raised."""
        new = sending.new_signal(self, saga, signal, payload, to=to, key=key)
        async with self._answering() as connection, verified(connection):
            await signals.send_own(connection, self.schema, new)

    def handle(self, saga: SagaDefinition[Any, Out], *, key: str) -> Handle[Out]:
        """A handle on a saga that was started elsewhere, by its key. Nothing is read yet."""
        return Handle(self, saga, key=key)

    async def witness(self, key: str, answer: Answer[Any]) -> None:
        """Tell the engine what was heard of an effect: a webhook, say. Evidence, at any time, also after the end.

        Args:
            key: the idempotency key that the call was made under.
            answer: as a probe answers: Landed(result), Refused(code), NotFound(), Pending(), Fenced().

        Raises:
            NotFoundError: no effect has this key.
            ValueError: the result is not of the step's type.
        """
        from saga.witnessing import witness  # noqa: PLC0415 - a service without webhooks never needs it

        await witness(self, key, answer)

    async def read(self, saga_id: UUID | None, name: str, key: str) -> SagaState | None:
        """The saga's row as callers see it, or None."""
        async with self._answering() as connection:
            return await views.read(connection, self.schema, saga_id=saga_id, name=name, key=key)

    def operator(self, who: str) -> Operator:
        """The acts of an operator, audited under this name."""
        from saga.operator import Operator  # noqa: PLC0415 - a service that only starts sagas never needs it

        return Operator(self, who)

    @cached_property
    def blocking(self) -> BlockingEngine:
        """The same for Django, Flask and scripts: one engine, a thin face that waits."""
        from saga.blocking import BlockingEngine  # noqa: PLC0415 - starts a thread, so only when it is wanted

        return BlockingEngine(self)

    # Shared by both faces.

    def new(self, saga: SagaDefinition[In, Any], input: In, key: str, how: How) -> NewSaga:
        """What is to be written for a start.

        Raises:
            InputError, NotFoundError, Unstorable: with a sentence; nothing was written.
        """
        self.registry.find(saga.name, saga.version)
        check_key(key)
        text = saga.encode_input(input)
        seconds = None if saga.deadline is None else saga.deadline.total_seconds()
        made = uuid7()
        return NewSaga(
            made, saga.name, saga.version, key, text, input_hash(text), seconds, how.after, how.at, how.tags
        )

    def started(
        self, saga: SagaDefinition[Any, Out], new: NewSaga, started: Started, *, within: bool
    ) -> Handle[Out]:
        """The handle on what was started.

        Raises:
            KeyConflict: the key was used with another input.
        """
        if started.input_hash != new.input_hash:
            raise _conflict(new)
        return Handle(self, saga, key=new.key, saga_id=started.id, within=within)


def _conflict(new: NewSaga) -> KeyConflict:
    return KeyConflict(
        f"the key {new.key!r} of saga {new.name} was used with another input: "
        "use a new key, or look the old one up with engine.handle(...)"
    )

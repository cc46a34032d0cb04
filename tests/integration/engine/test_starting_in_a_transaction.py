"""A saga starts in the caller's own transaction: row and order appear together or not at all."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from saga import Engine, InputError, KeyConflict, NotCommitted, SagaError, saga
from tests.support import rows
from tests.support.fakes import Ledger, make_step

reserve = make_step(Ledger(), "reserve")


@dataclass
class Order:
    id: str
    total: float = 1.0


@saga("checkout")
async def checkout(order: Order) -> str:
    return await reserve(order.id)


@pytest.fixture
async def engine(database_url: str) -> AsyncGenerator[Engine]:
    async with Engine(database_url, sagas=[checkout]) as made:
        yield made


def started(url: str, key: str = "k") -> bool:
    return bool(rows.select(url, "SELECT 1 FROM saga.saga WHERE key = %s", key))


# How each kind of caller opens a transaction: commits in the end, or rolls back when an exception leaves it.


@asynccontextmanager
async def session(url: str) -> AsyncGenerator[Any]:
    made = sa.create_engine(psycopg_url(url))
    with Session(made) as opened, opened.begin():
        yield opened
    made.dispose()


@asynccontextmanager
async def connection(url: str) -> AsyncGenerator[Any]:
    made = sa.create_engine(psycopg_url(url))
    with made.begin() as opened:
        yield opened
    made.dispose()


@asynccontextmanager
async def async_session(url: str) -> AsyncGenerator[Any]:
    made = create_async_engine(psycopg_url(url))
    async with AsyncSession(made) as opened, opened.begin():
        yield opened
    await made.dispose()


@asynccontextmanager
async def async_connection(url: str) -> AsyncGenerator[Any]:
    made = create_async_engine(psycopg_url(url))
    async with made.begin() as opened:
        yield opened
    await made.dispose()


@asynccontextmanager
async def psycopg_connection(url: str) -> AsyncGenerator[Any]:
    with psycopg.connect(url) as opened:
        yield opened


@asynccontextmanager
async def psycopg_dicts(url: str) -> AsyncGenerator[Any]:
    with psycopg.connect(url, row_factory=dict_row, cursor_factory=psycopg.ClientCursor) as opened:
        yield opened


@asynccontextmanager
async def psycopg_block(url: str) -> AsyncGenerator[Any]:
    """Autocommit outside, a transaction inside: what `connection.transaction()` is for."""
    with psycopg.connect(url, autocommit=True) as opened, opened.transaction():
        yield opened


@asynccontextmanager
async def psycopg_async(url: str) -> AsyncGenerator[Any]:
    async with await psycopg.AsyncConnection.connect(url) as opened:
        yield opened


@asynccontextmanager
async def psycopg_async_dicts(url: str) -> AsyncGenerator[Any]:
    async with await psycopg.AsyncConnection.connect(url, row_factory=dict_row) as opened:
        yield opened


def psycopg_url(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


Opened = Callable[[str], Any]
SYNC: list[Opened] = [session, connection, psycopg_connection, psycopg_dicts, psycopg_block]
ASYNC: list[Opened] = [async_session, async_connection, psycopg_async, psycopg_async_dicts]


class Undecided(Exception):
    """The caller changes its mind."""


@pytest.mark.parametrize("opened", [*SYNC, *ASYNC])
async def test_the_row_appears_with_the_commit(engine: Engine, opened: Opened) -> None:
    """Before the caller's commit nobody sees the saga and waiting says so; after it, it is there."""
    async with opened(engine.url) as within:
        handle = await engine.start(checkout, Order("1"), key="k", within=within)
        assert not started(engine.url)
        with pytest.raises(NotCommitted, match="commit your transaction, then wait"):
            await handle.view(wait="1ms")
    assert started(engine.url)
    assert (await handle.view()).status == "processing"


@pytest.mark.parametrize("opened", [*SYNC, *ASYNC])
async def test_the_row_goes_with_a_rollback(engine: Engine, opened: Opened) -> None:
    """A caller that rolls back has started nothing, and its handle says so."""
    with suppress(Undecided):
        async with opened(engine.url) as within:
            handle = await engine.start(checkout, Order("1"), key="k", within=within)
            raise Undecided
    assert not started(engine.url)
    with pytest.raises(NotCommitted, match="rolled back"):
        await handle.result(timeout="1ms")


@pytest.mark.parametrize("opened", [*SYNC, *ASYNC])
async def test_a_taken_key_is_found_without_an_error(engine: Engine, opened: Opened) -> None:
    """Same key, same input: the same saga. Another input: KeyConflict, and the caller's transaction goes on."""
    first = await engine.start(checkout, Order("1"), key="k")
    async with opened(engine.url) as within:
        again = await engine.start(checkout, Order("1"), key="k", within=within)
        assert again.id == first.id
        with pytest.raises(KeyConflict, match="used with another input"):
            await engine.start(checkout, Order("2"), key="k", within=within)
        await engine.start(checkout, Order("3"), key="other", within=within)
    assert started(engine.url, "other")


@pytest.mark.parametrize("opened", [*SYNC, *ASYNC])
async def test_a_start_for_later_is_the_callers_too(engine: Engine, opened: Opened) -> None:
    """By a duration or at a time; a key that is taken is found all the same."""
    async with opened(engine.url) as within:
        first = await engine.start(checkout, Order("1"), key="k", within=within, after="2h")
        at = datetime(2100, 1, 1, tzinfo=UTC)
        await engine.start(checkout, Order("2"), key="other", within=within, at=at)
        again = await engine.start(checkout, Order("1"), key="k", within=within, at=at)
        assert again.id == first.id
    found = rows.select(
        engine.url, "SELECT wake_at - created_at AS wait, wake_at, status FROM saga.saga ORDER BY wake_at"
    )
    assert [row["status"] for row in found] == ["asleep", "asleep"]
    assert (found[0]["wait"], found[1]["wake_at"]) == (timedelta(hours=2), at)


@pytest.mark.parametrize("opened", SYNC)
async def test_the_blocking_face_starts_in_the_callers_transaction(engine: Engine, opened: Opened) -> None:
    """engine.blocking.start runs its INSERT through the caller's own object, and rolls back with it."""
    with suppress(Undecided):
        async with opened(engine.url) as within:
            engine.blocking.start(checkout, Order("1"), key="k", within=within)
            raise Undecided
    assert not started(engine.url)
    async with opened(engine.url) as within:
        handle = engine.blocking.start(checkout, Order("1"), key="k", within=within)
        with pytest.raises(NotCommitted):
            handle.view()
    assert handle.view().status == "processing"
    engine.blocking.close()


@pytest.mark.parametrize("opened", ASYNC)
async def test_the_blocking_face_refuses_what_must_be_awaited(engine: Engine, opened: Opened) -> None:
    """An async object in the blocking face is a TypeError that says what to do."""
    async with opened(engine.url) as within:
        with pytest.raises(TypeError, match=r"await engine\.start"):
            engine.blocking.start(checkout, Order("1"), key="k", within=within)


async def test_rollback_to_a_savepoint_takes_the_saga_along(engine: Engine) -> None:
    """ROLLBACK TO undoes a start in it and nothing else; the handle is dead, the key is free."""
    made = sa.create_engine(psycopg_url(engine.url))
    with Session(made) as opened, opened.begin():
        await engine.start(checkout, Order("1"), key="outer", within=opened)
        with suppress(Undecided), opened.begin_nested():
            dead = await engine.start(checkout, Order("1"), key="inner", within=opened)
            raise Undecided
        await engine.start(checkout, Order("2"), key="inner", within=opened)
    made.dispose()
    assert started(engine.url, "outer")
    with pytest.raises(NotCommitted):
        await dead.view()
    assert (await engine.handle(checkout, key="inner").view()).status == "processing"


@contextmanager
def sync_autocommit(url: str) -> Any:
    made = sa.create_engine(psycopg_url(url), isolation_level="AUTOCOMMIT")
    with made.connect() as opened:
        yield opened
    made.dispose()


@contextmanager
def session_in_autocommit(url: str) -> Any:
    made = sa.create_engine(psycopg_url(url), isolation_level="AUTOCOMMIT")
    with Session(made) as opened:
        yield opened
    made.dispose()


@contextmanager
def psycopg_autocommit(url: str) -> Any:
    with psycopg.connect(url, autocommit=True) as opened:
        yield opened


@pytest.mark.parametrize("opened", [sync_autocommit, session_in_autocommit, psycopg_autocommit])
async def test_autocommit_is_refused(
    engine: Engine, opened: Callable[[str], AbstractContextManager[Any]]
) -> None:
    """In autocommit the saga would start although the caller's writes may fail: refused, and nothing is written."""
    with opened(engine.url) as within:
        with pytest.raises(SagaError, match="autocommit"):
            await engine.start(checkout, Order("1"), key="k", within=within)
        with pytest.raises(SagaError, match="autocommit"):
            engine.blocking.start(checkout, Order("1"), key="k", within=within)
    assert not started(engine.url)


async def test_async_autocommit_is_refused(engine: Engine) -> None:
    """The same for the async objects of SQLAlchemy and psycopg."""
    made = create_async_engine(psycopg_url(engine.url), isolation_level="AUTOCOMMIT")
    async with made.connect() as opened:
        with pytest.raises(SagaError, match="autocommit"):
            await engine.start(checkout, Order("1"), key="k", within=opened)
    await made.dispose()
    async with await psycopg.AsyncConnection.connect(engine.url, autocommit=True) as plain:
        with pytest.raises(SagaError, match="autocommit"):
            await engine.start(checkout, Order("1"), key="k", within=plain)
    assert not started(engine.url)


async def test_another_database_system_is_refused(engine: Engine) -> None:
    """A session of SQLite cannot hold row and order together: one sentence, which names it."""
    made = sa.create_engine("sqlite://")
    with Session(made) as opened, pytest.raises(SagaError, match="sqlite: a saga starts in its Postgres"):
        await engine.start(checkout, Order("1"), key="k", within=opened)
    made.dispose()


@pytest.mark.parametrize("wrong", ["a string", object(), sa.create_engine("sqlite://")])
async def test_what_is_no_transaction_is_a_type_error(engine: Engine, wrong: object) -> None:
    """Anything else as `within` is a TypeError that lists what it may be, in both faces."""
    with pytest.raises(TypeError, match="Connection or AsyncConnection, Django's connection, or a psycopg"):
        await engine.start(checkout, Order("1"), key="k", within=wrong)
    with pytest.raises(
        TypeError, match="Session or Connection, Django's connection, or a psycopg connection"
    ):
        engine.blocking.start(checkout, Order("1"), key="k", within=wrong)
    assert not started(engine.url)


@pytest.mark.parametrize("opened", [*SYNC, *ASYNC])
async def test_wrong_input_costs_the_caller_nothing(engine: Engine, opened: Opened) -> None:
    """Input of the wrong shape is refused before anything runs in the caller's transaction."""
    async with opened(engine.url) as within:
        with pytest.raises(InputError, match="total"):
            await engine.start(checkout, Order("1", total="much"), key="k", within=within)  # type: ignore[arg-type]
        await engine.start(checkout, Order("1"), key="k", within=within)
    assert started(engine.url)

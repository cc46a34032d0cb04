"""A saga starts in Django's own transaction: with its atomic blocks and savepoints, or not at all."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.db import DatabaseError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from saga import Engine, InputError, KeyConflict, NotCommitted, SagaError
from saga.blocking import BlockingEngine
from saga_worker import Worker
from tests.support import rows
from tests.support.checkout import checkout
from tests.support.django_shop import Order, databases, second

SQLITE = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}


@pytest.fixture
def shop(database_url: str) -> Generator[BlockingEngine]:
    """The engine as Django code has it, and Django on the same database."""
    aliases = {
        "replica": second(database_url),
        "bound": second(database_url, OPTIONS={"server_side_binding": True}),
        "manual": second(database_url, AUTOCOMMIT=False),
        "lite": SQLITE,
    }
    engine = Engine(database_url, sagas=[checkout])
    with databases(database_url, **aliases):
        yield engine.blocking
    engine.blocking.close()


class Undecided(Exception):
    """The caller changes its mind."""


def started(url: str) -> set[str]:
    return {row["key"] for row in rows.select(url, "SELECT key FROM saga.saga")}


def ordered(url: str) -> set[str]:
    return {row["number"] for row in rows.select(url, "SELECT number FROM shop_order")}


def test_order_and_saga_appear_with_the_atomic_block(shop: BlockingEngine, database_url: str) -> None:
    """Before it ends nobody sees either, and waiting says so; after it both are there, and a worker ends the saga."""
    with transaction.atomic():
        Order.objects.create(number="k")
        handle = shop.start(checkout, "k", key="k", within=connection)
        assert (started(database_url), ordered(database_url)) == (set(), set())
        with pytest.raises(NotCommitted, match="commit your transaction, then wait"):
            handle.view()
    assert (started(database_url), ordered(database_url)) == ({"k"}, {"k"})

    async def work() -> str:
        async with Engine(database_url, sagas=[checkout]) as engine, Worker(engine, lease="3s"):
            return await engine.handle(checkout, key="k").result("10s")

    assert shop.wait_for(work()) == "k done"
    assert handle.result() == "k done"


def test_order_and_saga_go_with_the_atomic_block(shop: BlockingEngine, database_url: str) -> None:
    """An exception that leaves it takes both along, and the handle says so."""
    with suppress(Undecided), transaction.atomic():
        Order.objects.create(number="k")
        handle = shop.start(checkout, "k", key="k", within=connection)
        raise Undecided
    assert (started(database_url), ordered(database_url)) == (set(), set())
    with pytest.raises(NotCommitted, match="rolled back"):
        handle.view()


def test_a_nested_block_that_rolls_back_takes_its_saga_along(shop: BlockingEngine, database_url: str) -> None:
    """A savepoint of Django's undoes the start in it and nothing else; the key is free again."""
    with transaction.atomic():
        shop.start(checkout, "a", key="outer", within=connection)
        with suppress(Undecided), transaction.atomic():
            Order.objects.create(number="inner")
            dead = shop.start(checkout, "a", key="inner", within=connection)
            raise Undecided
        with suppress(DatabaseError), transaction.atomic():
            shop.start(checkout, "a", key="failed", within=connection)
            connection.cursor().execute("SELECT 1/0")
        with transaction.atomic():
            again = shop.start(checkout, "b", key="inner", within=connection)
    assert started(database_url) == {"outer", "inner"}
    assert ordered(database_url) == set()
    with pytest.raises(NotCommitted):
        dead.view()
    assert again.view().status == "processing"


def test_savepoints_by_hand_are_kept_to(shop: BlockingEngine, database_url: str) -> None:
    """`transaction.savepoint_rollback` takes along what was started behind it."""
    with transaction.atomic():
        shop.start(checkout, "a", key="before", within=connection)
        here = transaction.savepoint()
        shop.start(checkout, "a", key="behind", within=connection)
        transaction.savepoint_rollback(here)
    assert started(database_url) == {"before"}


def test_a_taken_key_leaves_the_atomic_block_usable(shop: BlockingEngine, database_url: str) -> None:
    """The same input: the same saga. Another: KeyConflict without an error in the transaction, which goes on and commits."""
    first = shop.start(checkout, "a", key="k")
    with transaction.atomic():
        assert shop.start(checkout, "a", key="k", within=connection).id == first.id
        with pytest.raises(KeyConflict, match="used with another input"):
            shop.start(checkout, "b", key="k", within=connection)
        Order.objects.create(number="goes on")
    assert ordered(database_url) == {"goes on"}


def test_wrong_input_costs_nothing(shop: BlockingEngine) -> None:
    """It is refused before anything runs in Django's transaction."""
    with transaction.atomic(), CaptureQueriesContext(connection) as said:
        with pytest.raises(InputError):
            shop.start(checkout, 7, key="k", within=connection)  # type: ignore[misc]
        assert len(said) == 0
        shop.start(checkout, "a", key="k", within=connection)
        assert [query["sql"].split()[0] for query in said] == ["INSERT"]


def test_outside_of_an_atomic_block_it_is_refused(shop: BlockingEngine, database_url: str) -> None:
    """Django is in autocommit there: the saga would start although the order may fail. The sentence names the way."""
    for within in (connection, connections["replica"]):
        with pytest.raises(
            SagaError, match=r"autocommit.*with transaction\.atomic\(using='(default|replica)'\)"
        ):
            shop.start(checkout, "a", key="k", within=within)
    with transaction.atomic(), pytest.raises(SagaError, match="using='replica'"):
        shop.start(
            checkout, "a", key="k", within=connections["replica"]
        )  # another alias is another transaction
    assert started(database_url) == set()


@pytest.mark.parametrize("alias", ["replica", "bound"])
def test_another_alias_starts_in_its_own_transaction(
    shop: BlockingEngine, database_url: str, alias: str
) -> None:
    """`connections[alias]`, with parameters bound by the client or by the server."""
    with transaction.atomic(using=alias):
        shop.start(checkout, "100 % 'quoted'", key="k", within=connections[alias])
        assert started(database_url) == set()
    assert rows.saga_of(database_url, "k")["input"] == "100 % 'quoted'"
    with transaction.atomic(using=alias):
        assert shop.start(checkout, "100 % 'quoted'", key="k", within=connections[alias]).id is not None


def test_a_transaction_that_is_ruled_by_hand_is_kept_to(shop: BlockingEngine, database_url: str) -> None:
    """AUTOCOMMIT=False: the caller's own commit and rollback decide."""
    shop.start(checkout, "a", key="gone", within=connections["manual"])
    transaction.rollback(using="manual")
    shop.start(checkout, "a", key="kept", within=connections["manual"])
    assert started(database_url) == set()
    transaction.commit(using="manual")
    assert started(database_url) == {"kept"}


def test_another_database_system_is_refused(shop: BlockingEngine) -> None:
    """SQLite cannot hold row and order together: one sentence, which names it and its alias."""
    with (
        transaction.atomic(using="lite"),
        pytest.raises(SagaError, match="'lite' to sqlite: a saga starts in its Postgres"),
    ):
        shop.start(checkout, "a", key="k", within=connections["lite"])


def test_another_driver_is_refused(shop: BlockingEngine) -> None:
    """Django on psycopg2 gets a sentence, and nothing is sent."""
    with transaction.atomic():
        real = connection.connection
        connection.connection = SimpleNamespace(
            closed=False
        )  # psycopg2 cannot be installed beside psycopg 3 for this
        try:
            with pytest.raises(SagaError, match="install psycopg 3"):
                shop.start(checkout, "a", key="k", within=connection)
        finally:
            connection.connection = real


def test_a_broken_atomic_block_is_djangos_to_tell(shop: BlockingEngine, database_url: str) -> None:
    """Behind an error in a block Django refuses every query, and the start with them."""
    with suppress(DatabaseError), transaction.atomic():
        with suppress(DatabaseError), transaction.atomic(savepoint=False):
            connection.cursor().execute("SELECT 1/0")
        with pytest.raises(transaction.TransactionManagementError):
            shop.start(checkout, "a", key="k", within=connection)
    assert started(database_url) == set()


@pytest.mark.parametrize("wrong", [Order(number="k"), transaction.atomic(), connections])
def test_what_is_no_connection_of_djangos_is_a_type_error(shop: BlockingEngine, wrong: Any) -> None:
    """A model, a block, all connections at once: the sentence lists what it may be."""
    with pytest.raises(TypeError, match="Django's connection, or a psycopg connection"):
        shop.start(checkout, "a", key="k", within=wrong)


def test_in_async_code_django_refuses_and_says_so(shop: BlockingEngine, database_url: str) -> None:
    """Django's transactions belong to a thread without an event loop: there it is `engine.blocking`."""

    async def start() -> None:
        async with Engine(database_url, sagas=[checkout]) as engine:
            await engine.start(checkout, "a", key="k", within=connection)

    with pytest.raises(SynchronousOnlyOperation, match="use a thread or sync_to_async"):
        shop.wait_for(start())
    assert started(database_url) == set()

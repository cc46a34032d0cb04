"""The two stores that every test here runs on."""

from collections.abc import AsyncIterator

import pytest

from saga.store.connections import Connection
from tests.support.stores import Model, Real, Store, a_worker, running


@pytest.fixture(params=["postgres", "model"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """A real Postgres, then the model."""
    made: Store = Real(request.getfixturevalue("database_url")) if request.param == "postgres" else Model()
    yield made
    await made.close()


@pytest.fixture
async def three(store: Store) -> list[Connection]:
    """Three connections, two workers, and saga 1 that the first of them runs."""
    await store.put("worker", a_worker(0))
    await store.put("worker", a_worker(1))
    await store.put("saga", running(1))
    return [await store.connect() for _ in range(3)]

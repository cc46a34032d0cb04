"""The two stores that every test here runs on."""

from collections.abc import AsyncIterator

import pytest

from tests.support.stores import Model, Real, Store


@pytest.fixture(params=["postgres", "model"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """A real Postgres, then the model."""
    made: Store = Real(request.getfixturevalue("database_url")) if request.param == "postgres" else Model()
    yield made
    await made.close()

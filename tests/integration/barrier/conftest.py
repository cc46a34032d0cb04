"""A service's own database, with the barrier's table."""

import pytest

from tests.integration.barrier.place import Place


@pytest.fixture
def place(empty_database_url: str) -> Place:
    """A fresh database of a service that is ours."""
    made = Place(empty_database_url)
    made.set_up()
    return made

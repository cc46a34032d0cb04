"""The pytest plugin: the fixture `world`. It is there as soon as `saga-engine` is installed.

Rule that holds here: every run of pytest loads this module, so it imports nothing but pytest until a test asks.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from saga.testing.world import World


@pytest.fixture
def world() -> Generator[World]:
    """A user's sagas on the production engine, with simulated time, services and faults: see docs/testing-your-sagas.md."""
    from saga.testing.world import World  # noqa: PLC0415 - the simulator, only for tests that want it

    made = World()
    yield made
    made.close()

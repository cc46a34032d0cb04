"""The production engine on a simulated machine."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from saga.definition import SagaDefinition
from saga.engine import Engine

CANARY = "canary-7b1f"
"""The secret of simulated engines: it must not be seen anywhere (I13)."""


class SimulatedEngine(Engine):
    """The production engine; its database is the one of the machine that it runs on."""

    async def prepare(self) -> None:
        """There is nothing to check."""

    def forget(self) -> None:
        """Drop the connections that ended with their world; the engine serves the next one, too."""
        self._pool.forget()

    @cached_property
    def url(self) -> str:
        """A name that nobody connects to."""
        return "postgresql://simulated/simulated"


def engine_of(definitions: Sequence[SagaDefinition[Any, Any]], secret: str = CANARY) -> Engine:
    """An engine for any number of runs with these definitions."""
    return SimulatedEngine(sagas=definitions, secret=secret)

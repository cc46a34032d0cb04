"""An engine with a worker in this process, and the certainty that nothing is left in its memory at the end."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from saga import Engine, SagaDefinition
from saga_worker import Worker
from tests.support import rows
from tests.support.rows import Row


@dataclass(frozen=True, slots=True)
class Working:
    """The engine, its worker, and shortcuts to what lies in the tables."""

    engine: Engine
    worker: Worker

    @property
    def url(self) -> str:
        return self.engine.url

    async def run(self, saga: SagaDefinition[Any, Any], value: Any = "a", *, key: str = "k") -> Any:
        """Start a saga and give its result."""
        return await (await self.engine.start(saga, value, key=key)).result("20s")

    async def ended(self, saga: SagaDefinition[Any, Any], value: Any = "a", *, key: str = "k") -> str:
        """Start a saga and give the customer's word at its end."""
        handle = await self.engine.start(saga, value, key=key)
        return str((await handle.view(wait="20s")).status)

    async def parked(self, saga: SagaDefinition[Any, Any], value: Any = "a", *, key: str = "k") -> Row:
        """Start a saga and give its row when it is parked."""
        await self.engine.start(saga, value, key=key)
        return await rows.parked(self.url, key)


@asynccontextmanager
async def working(url: str, *sagas: SagaDefinition[Any, Any], **options: Any) -> AsyncGenerator[Working]:
    """A worker that serves the sagas until the block ends."""
    options = {"lease": "3s", "drain_within": "5s", **options}
    async with Engine(url, sagas=sagas) as engine:
        async with Worker(engine, **options) as worker:
            yield Working(engine, worker)
        assert len(worker.memory) == 0
        assert not worker.performer.bodies

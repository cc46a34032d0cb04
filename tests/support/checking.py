"""Replaying what has not ended, with the certainty that nothing was written and nothing called."""

from __future__ import annotations

from typing import Any

from saga import Engine, SagaDefinition
from saga_worker.checking import Checked, check
from saga_worker.rehearsal import Misfit
from tests.support import rows
from tests.support.code_changes import ledger

TABLES = ("saga", "effect", "evidence", "moment", "signal", "worker", "watch", "request", "audit")


def everything(url: str) -> dict[str, list[str]]:
    """Every row of the engine, with the transaction that wrote it; but for the beat of living workers."""
    return {
        table: [
            row["row"]
            for row in rows.select(url, f"SELECT xmin::text || t::text AS row FROM saga.{table} t ORDER BY 1")
        ]
        for table in TABLES
    }


async def checked(url: str, *sagas: SagaDefinition[Any, Any]) -> list[Checked]:
    """Every saga that was replayed under this code; sees to it that nothing was written, and nothing called."""
    before, calls, asked = everything(url), list(ledger.calls), list(ledger.asked)
    async with Engine(url, sagas=sagas) as engine:
        found = [one async for page in check(engine) for one in page]
    assert everything(url) == before
    assert (ledger.calls, ledger.asked) == (calls, asked)
    return found


async def misfit_of(url: str, *sagas: SagaDefinition[Any, Any]) -> Misfit | None:
    """What is said of the one saga that has not ended."""
    (one,) = await checked(url, *sagas)
    return one.misfit

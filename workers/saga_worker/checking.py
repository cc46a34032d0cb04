"""`saga check APP --against-db`: every saga that has not ended, replayed by the code that is here, before it is deployed.

Rules that hold here: nothing is claimed, called or written, so that it may run beside living workers and against
production; a page of sagas is in memory at a time, and is forgotten before the next one is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from uuid import UUID

import psycopg

from saga.engine import Engine
from saga.errors import NotFoundError
from saga.store import sagas, unfinished
from saga.store.connections import Connection
from saga.store.patience import ANSWER_WITHIN_S, answering
from saga.store.sagas import Recorded, SagaRow
from saga.store.unfinished import PAGE, Unfinished
from saga_worker.rehearsal import Misfit, Rehearsal, Unfit

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Checked:
    """One saga that was replayed, and why the code cannot go on with it; None if it can."""

    saga: SagaRow
    misfit: Misfit | None


async def check(engine: Engine, *, page: int = PAGE) -> AsyncIterator[list[Checked]]:
    """Replay every saga that has not ended, under the definitions of this engine; they come in pages.

    Args:
        engine: with the code that is to be deployed; prepared.
        page: so many sagas are in memory at once.

    Raises:
        DatabaseUnreachable, psycopg.OperationalError: the database does not answer.
    """
    last = UUID(int=0)
    connection = await engine.connect()
    async with connection:
        while True:
            async with answering(connection, ANSWER_WITHIN_S), unfinished.snapshot(connection):
                found = await unfinished.after(connection, engine.schema, last, page)
                records = await _records(connection, engine.schema, [one.saga.id for one in found])
            if not found:
                return
            yield await _outside_of_tasks(partial(_replay_all, engine, found, records))
            last = found[-1].saga.id


async def _records(
    connection: Connection, schema: str, ids: Sequence[UUID]
) -> dict[UUID, Recorded | Exception]:
    """What is recorded of each; a record that cannot be read is that saga's trouble, and nobody else's."""
    try:
        return dict(await sagas.recorded(connection, schema, ids)) if ids else {}
    except psycopg.Error:
        raise
    except Exception as error:  # noqa: BLE001 - it would park the saga, with all that is known
        if len(ids) == 1:
            return {ids[0]: error}
        alone = [await _records(connection, schema, [one]) for one in ids]
        return {saga_id: record for found in alone for saga_id, record in found.items()}


async def _outside_of_tasks(work: Callable[[], T]) -> T:
    """Run it in a plain callback: a saga's loop is not driven from inside a task, because tasks do not nest."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            done.set_result(work())
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            done.set_exception(error)

    loop.call_soon(run)
    return await done


def _replay_all(
    engine: Engine, page: list[Unfinished], records: dict[UUID, Recorded | Exception]
) -> list[Checked]:
    return [_replayed(engine, one, records) for one in page]


def _replayed(engine: Engine, one: Unfinished, records: dict[UUID, Recorded | Exception]) -> Checked:
    saga = one.saga
    try:
        definition = engine.definition(saga.name, saga.version)
    except NotFoundError as unknown:
        has = sorted(f"{name} v{version}" for name, version in engine.registry.sagas)
        return Checked(
            saga, Misfit(Unfit.NOT_SERVED, str(unknown), recorded=f"{saga.name} v{saga.version}", called=has)
        )
    record = records[saga.id]
    if isinstance(record, Exception):
        return Checked(saga, Misfit(Unfit.CODE_FAILED, f"{type(record).__name__}: {record}"))
    return Checked(saga, Rehearsal(engine, saga, definition, one.now).misfit(record))

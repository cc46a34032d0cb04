"""The warehouse: a service of one's own, whose idempotency is `saga.barrier` in its own Postgres.

Rules: the ledger is a table of that database, written in the barrier's transaction, so that it says what was
committed and nothing else. The handlers know nothing of keys, resends, fences or late requests.
"""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import AsyncGenerator

import psycopg
from starlette.types import ASGIApp, Receive, Scope, Send

from saga import Refused
from saga.barrier import Barrier, ddl
from saga.barrier.asgi import BarrierMiddleware, current
from tests.chaos.services.ledger import Kind, now
from tests.chaos.services.trouble import reply

TABLE = """
CREATE TABLE IF NOT EXISTS ledger (
    number bigint GENERATED ALWAYS AS IDENTITY, at bigint NOT NULL, kind text NOT NULL, saga text NOT NULL,
    action text NOT NULL, key text NOT NULL, id text NOT NULL, undoes text)
"""
WRITE = "INSERT INTO ledger (at, kind, saga, action, key, id, undoes) VALUES (%s, %s, %s, %s, %s, %s, %s)"
READ = """
SELECT at, kind, saga, action, key, id, undoes FROM ledger
UNION ALL SELECT 0, 'refused', '', 'store', key, key, NULL FROM saga_barrier WHERE state = 'refused'
ORDER BY at
"""
Connection = psycopg.AsyncConnection[tuple[object, ...]]

_idle: list[Connection] = []


async def prepare() -> None:
    """Make the tables, unless they are there."""
    async with await psycopg.AsyncConnection.connect(os.environ["WAREHOUSE_DATABASE_URL"]) as connection:
        there = await (await connection.execute("SELECT to_regclass('saga_barrier')")).fetchone()
        if there == (None,):
            await connection.execute(ddl().encode())
        await connection.execute(TABLE)


@contextlib.asynccontextmanager
async def begin() -> AsyncGenerator[Connection]:
    """A connection in a transaction."""
    connection = _idle.pop() if _idle else None
    if connection is None:
        connection = await psycopg.AsyncConnection.connect(
            os.environ["WAREHOUSE_DATABASE_URL"], autocommit=True
        )
    try:
        async with connection.transaction():
            yield connection
    finally:
        if not connection.closed:
            _idle.append(connection)


async def _business(scope: Scope, receive: Receive, send: Send) -> None:
    body = json.loads((await receive())["body"])
    here = current(scope)
    key = dict(scope["headers"])[b"idempotency-key"].decode()
    if body.get("refuse"):
        raise Refused("no_store", "there is no room")
    action = scope["path"].rsplit("/", 1)[1]
    row = {"id": uuid.uuid4().hex}
    undoes = None if here.held.action is None else here.held.action.result["id"]
    kind = Kind.EFFECT if undoes is None else Kind.UNDO
    await here.connection.execute(WRITE, (now(), kind, body["saga"], action, key, row["id"], undoes))
    here.held.keep(row)
    await reply(send, 200, row)


def app() -> ASGIApp:
    """The warehouse behind its barrier; a service that its Postgres fails answers 500."""
    inner = BarrierMiddleware(_business, barrier=Barrier(keeps="90d", wait="500ms"), begin=begin)

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        try:
            await inner(scope, receive, send)
        except psycopg.Error as error:
            await reply(send, 500, {"error": {"code": "database", "message": str(error)}})

    return outer


async def _lifespan(receive: Receive, send: Send) -> None:
    await receive()
    await prepare()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})

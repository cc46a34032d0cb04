"""NOTIFY as a hint that something became ready; polling stays the truth.

Rules that hold here: nothing depends on a notification arriving; the channel is the schema's own.
"""

from __future__ import annotations

from collections.abc import Callable

from psycopg import sql

from saga.store.connections import connect


def channel(schema: str) -> str:
    """The channel of one schema."""
    return f"saga_ready_{schema}"


async def listen(conninfo: str, schema: str, poke: Callable[[], None]) -> None:
    """Call `poke` for each notification, until the connection breaks.

    Raises:
        psycopg.Error: the connection broke.
    """
    connection = await connect(conninfo)
    try:
        await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel(schema))))
        poke()  # whatever became ready before we listened
        async for _ in connection.notifies():
            poke()
    finally:
        await connection.close()

"""psycopg connections as the store wants them.

Rule: `json` comes back as the text that was stored, because decoding is the business of the step's types and
because a decoded and encoded dict may not be the same text.
"""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection
from psycopg.types.string import TextLoader

from saga.ports import ports

Connection = AsyncConnection[tuple[Any, ...]]


async def connect(conninfo: str) -> Connection:
    """An autocommit connection.

    Raises:
        psycopg.OperationalError: nothing answers.
    """
    simulated = ports().connect
    if simulated is not None:
        found: Connection = await simulated(conninfo)
        return found
    connection = await AsyncConnection.connect(conninfo, autocommit=True, application_name="saga")
    connection.adapters.register_loader("json", TextLoader)
    return connection

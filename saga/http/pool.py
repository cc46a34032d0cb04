"""Takes back the connections that httpcore's pool loses.

Rule that holds here: a request that is given up between the moment at which the pool gives it a connection and the
moment at which it uses it leaves that connection "in use" for ever (httpcore 1.0, `AsyncConnectionPool`). A hundred of
those, one bad minute of a service, and no request of this process would ever get a connection again. So whoever gives
up looks for connections in use that no request uses. These parts of httpcore are private: where they are not
found, nothing is done, and a test says so.
"""

from __future__ import annotations

from typing import Any

import httpx


async def take_back(client: httpx.AsyncClient) -> int:
    """Remove the connections that are lost; how many they were."""
    pool: Any = getattr(getattr(client, "_transport", None), "_pool", None)
    connections: list[Any] | None = getattr(pool, "_connections", None)
    requests: list[Any] | None = getattr(pool, "_requests", None)
    if not connections or requests is None:
        return 0
    used = {id(getattr(request, "connection", None)) for request in requests}
    lost = [c for c in connections if id(c) not in used and not _at_rest(c)]
    for connection in lost:
        connections.remove(connection)
    for connection in lost:
        await connection.aclose()
    return len(lost)


def _at_rest(connection: Any) -> bool:
    """Whether the pool itself will reuse it or throw it away."""
    return bool(connection.is_idle() or connection.is_closed() or connection.is_available())

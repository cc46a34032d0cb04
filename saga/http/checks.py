"""`check_client`: refuses an httpx client that would send more than once behind the step's back.

Rule that holds here: what can be seen is refused with a sentence; a transport that is not httpx's own cannot
be seen into, and is refused for that.
"""

from __future__ import annotations

from typing import Any, cast

import httpx

from saga.errors import DefinitionError


def check_client(client: httpx.Client | httpx.AsyncClient) -> None:
    """See that a client of your own sends once and follows nothing; `saga.http.client` needs no check.

    Raises:
        DefinitionError: with a sentence for each thing that is wrong.
    """
    problems: list[str] = []
    if client.follow_redirects:
        problems.append(
            "this httpx client follows redirects, and a 307 sends a POST again: follow_redirects=False"
        )
    if isinstance(client.auth, httpx.DigestAuth):
        problems.append("this httpx client logs in by DigestAuth, which sends the request twice: use a token")
    transports: list[Any] = [getattr(client, "_transport", None), *getattr(client, "_mounts", {}).values()]
    for transport in transports:
        if transport is None:
            continue
        kind = type(cast("object", transport))
        if kind.__module__.partition(".")[0] != "httpx":
            problems.append(f"{kind.__name__} is no transport of httpx, and may retry: use httpx's own")
        elif getattr(getattr(transport, "_pool", None), "_retries", 0):
            problems.append("this httpx client retries connections on its own: HTTPTransport(retries=0)")
    if problems:
        raise DefinitionError(problems)

"""Writes docs/classification.md from what the real clients do: `python -m tests.support.clients.page > docs/classification.md`.

Each table is measured when it is asked for, and a measurement that is unsound raises instead of becoming a table.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from importlib.metadata import version

from tests.support.clients import database, defaults, sections, steps

LIBRARIES = ("httpx", "requests", "aiohttp", "grpcio", "botocore", "psycopg", "sqlalchemy")

Section = Callable[[str], Awaitable[str]]
SECTIONS: dict[str, Section] = {
    "http": lambda _: sections.misbehaviour(steps.HTTP),
    "status": lambda _: sections.status_table(),
    "aws": lambda _: sections.misbehaviour(steps.AWS),
    "codes": lambda _: sections.aws_table(),
    "grpc": lambda _: sections.grpc_table(),
    "database": database.database_table,
    "defaults": lambda _: defaults.defaults_table(),
}

PAGE = """# What an exception or a status proves

Made from the tests' results by `python -m tests.support.clients.page`; a test compares. The hostile server misbehaves in one way at a
time, and counts the requests that it read in full. Measured with {versions}.

| letter | means |
| --- | --- |
| **N** | not executed: certain that nothing happened, safe to send again |
| **F** | refused: a final no of the service |
| **U** | unknown: it may have happened; the engine settles it |
| **S** | succeeded |

Three rules hold in every table, and the program that writes this page fails where one is broken:

- one attempt brings at most one whole request to the server;
- whatever the server has read in full is neither N nor F, unless the line says why;
- what is broken is never S.

**What is not listed is unknown.** A classifier gives a proof only with the name of its rule, which is stored with it.

## How to use it

| client | classifier | sends once | refuses a client that would not |
| --- | --- | --- | --- |
| httpx | `saga.http.classify` | `saga.http.client`, `blocking_client` | `saga.http.check_client` |
| requests | `saga.requests.classify` | `saga.requests.session` | `saga.requests.check_client` |
| aiohttp | `saga.aiohttp.classify` | `saga.aiohttp.client` | `saga.aiohttp.check_client` |
| grpcio | `saga.grpc.classify` | `saga.grpc.channel`, `aio_channel` | `saga.grpc.check_options` |
| botocore, boto3 | `saga.botocore.classify` | `saga.botocore.client`, `in_budget` | `saga.botocore.check_client` |
| psycopg, SQLAlchemy | `saga.sql.classify` | `saga.sql.transaction` | |

Each is an extra of its own (`pip install 'saga-engine[requests]'`), and imports its library only when it is imported
itself. The clients follow what is left of the attempt (`call.remaining()`), and end a connection that they give up with
a reset. Vendors' SDKs retry on their own: turn that off, or prove that they send our key again.

Point the hostile server at a step of yours. It needs the URL, so let the base URL of its client be a function:

```python
from saga.http import classify, client
from saga.testing import prove_client

async def test_the_charge_never_guesses() -> None:
    async def attempt(url, call):
        psp_url.set(url)                        # what client(psp_url.get) asks for
        await charge.body(call, order)

    await prove_client(attempt, classify=classify)
```

It raises with a sentence for each thing that is wrong: two whole requests in one attempt, a claim that nothing proves,
a broken reply that was taken for a success, an attempt that does not end with its budget. For gRPC:
`prove_client(attempt, classify=saga.grpc.classify, rows=saga.testing.http2.ROWS)`.

## A server that misbehaves, over HTTP

A claim, and the exception that it is drawn from.

{http}

"Resets on accept" is N where the reset came while the connection was being opened: nothing was sent then.

## A status, over HTTP

The same for httpx, requests and aiohttp. "As JSON" is the API's own error format; "as HTML" is what a proxy on the way
may have said. N for 401, 403 and 421: mend the credentials, or the address; a rotated secret must not undo sagas. What a
service means by a status beyond this is its profile's business.

{status}

## AWS

{aws}

What a code proves, here of DynamoDB. `ConditionalCheckFailed` may have met our own write: the probe decides. A missing
permission is not a refusal: a mistaken policy must not undo sagas.

{codes}

## gRPC

A refused connection and a server that is killed after the effect both say UNAVAILABLE, so UNAVAILABLE proves nothing.
ALREADY_EXISTS is likely our own effect: the probe decides. grpc gives `None` and no error for a call that ended with OK
and without a whole message; our channels raise `Unknown`.

{grpc}

## Postgres of a service that a step owns

The exception of a lost connection is the same before COMMIT and after it. `saga.sql.transaction` keeps account of what
was written. A COMMIT of a transaction that had failed reports success and stores nothing: that is seen, too.

{database}

## What the libraries do on their own

Whole requests that reach the server, with the library as it comes or nearly so. This is what the clients above prevent.

{defaults}
"""


async def page(url: str) -> str:
    """The whole page. url: of a Postgres in which tables may be made."""
    tables = {name: await section(url) for name, section in SECTIONS.items()}
    versions = ", ".join(f"{name} {'.'.join(version(name).split('.')[:2])}" for name in LIBRARIES)
    return PAGE.format(versions=versions, **tables)


def main() -> None:
    """Print it."""
    from saga.dev.embedded import temporary

    with temporary() as server:
        sys.stdout.write(asyncio.run(page(server.url)))


if __name__ == "__main__":
    main()

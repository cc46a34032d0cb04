"""What Postgres tells and is told from outside, as a DBA would, beside whatever the peer does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from typing import Any

from benchmarks.peers import rig

try:
    import psycopg
except ImportError as missing:
    rig.not_installed("psycopg", missing)

TABLES = (
    "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'"
)


def rows(url: str, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Ask once."""
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(query.encode(), values or None).fetchall()


def run(url: str, *statements: str) -> None:
    """Each in a transaction of its own."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@contextlib.contextmanager
def asking(url: str, question: str) -> Generator[Callable[[], bool]]:
    """Ask the same again and again, over one connection."""
    with psycopg.connect(url, autocommit=True) as connection:
        yield lambda: connection.execute(question.encode()).fetchone() == (True,)


def check(url: str) -> None:
    """It is there, and empty.

    Raises:
        Failed: it is not.
    """
    try:
        ((tables,),) = rows(url, TABLES)
    except psycopg.Error as error:
        raise rig.Failed(f"no database at {url}: {error}") from error
    if tables:
        raise rig.Failed(f"the database at {url} is not empty: it has {tables} tables")


def now(url: str) -> str:
    """By its clock."""
    return str(rows(url, "SELECT clock_timestamp()::text")[0][0])


def multiply(url: str, table: str, changed: dict[str, str], times: int) -> None:
    """Every row so many times more, as it is but for the columns changed; `n` numbers the copies.

    A column that makes its own value does.
    """
    schema, name = table.split(".")
    found = rows(
        url,
        "SELECT quote_ident(column_name) FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
        " AND is_generated = 'NEVER' AND is_identity = 'NO' ORDER BY ordinal_position",
        schema,
        name,
    )
    columns = [str(column) for (column,) in found]
    values = ", ".join(changed.get(column, column) for column in columns)
    run(
        url,
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table}, generate_series(1, {times}) AS n",
    )

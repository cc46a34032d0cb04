"""Database URLs as SQLAlchemy and as psycopg want them."""

from __future__ import annotations

from functools import cache

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from saga.errors import DatabaseUnreachable, SagaError


@cache
def parse(url: str) -> URL:
    """The URL for SQLAlchemy with psycopg 3.

    Raises:
        SagaError: it is not the URL of a Postgres database.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise SagaError(f"{url!r} is not a database URL: write postgresql://user@host/database") from None
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise SagaError(f"{parsed.drivername} is not Postgres: write postgresql://user@host/database")
    return parsed.set(drivername="postgresql+psycopg")


def conninfo(url: str) -> str:
    """The same URL for libpq."""
    return parse(url).set(drivername="postgresql").render_as_string(hide_password=False)


def shown(url: str) -> str:
    """The URL without its password, for people and logs."""
    return parse(url).set(drivername="postgresql").render_as_string(hide_password=True)


def unreachable(url: str, error: Exception) -> DatabaseUnreachable:
    """The sentence for a database that does not answer."""
    reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    return DatabaseUnreachable(
        f"the database {shown(url)} does not answer ({reason}): start it, or check the URL"
    )

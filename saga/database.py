"""Which database: as it is said, else `SAGA_DATABASE_URL`, else an existing `./.saga`.

Rule: nothing is created here; an embedded database that is not there is an error that says how to make it.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path

from saga.errors import SagaError
from saga.store import urls

VARIABLE = "SAGA_DATABASE_URL"
HERE = Path(".saga")
EMBEDDED = "embedded:"


class NoDatabase(SagaError):
    """Nobody said which database."""


def chosen(url: str | None = None) -> str:
    """The database that is meant, as it was written.

    Raises:
        NoDatabase: nobody said; the sentence names the three ways.
    """
    if url:
        return url
    if os.environ.get(VARIABLE):
        return os.environ[VARIABLE]
    if HERE.is_dir():
        return f"{EMBEDDED}{HERE}"
    raise NoDatabase(
        f"no database: give its URL (--database, or Engine(url)), set {VARIABLE}, "
        f"or make an embedded one with `saga db upgrade --database embedded:{HERE}`"
    )


def resolved(url: str, *, create: bool = False) -> str:
    """A Postgres URL; `embedded:DIR` starts its server. Only `create` makes one that was never there.

    Raises:
        SagaError: it is no Postgres URL, or the embedded database cannot be had.
    """
    if not url.startswith(EMBEDDED):
        urls.parse(url)
        return url
    # By name: the embedded Postgres is an extra, and a face that what is embedded in a service never imports.
    embedded = importlib.import_module("saga.dev.embedded")
    try:
        found: str = embedded.connect_url(url, create=create)
    except embedded.EmbeddedError as error:
        raise SagaError(str(error)) from None
    return found


def shown(url: str) -> str:
    """The database for people: no password."""
    return url if url.startswith(EMBEDDED) else urls.shown(url)

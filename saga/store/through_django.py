"""Starting a saga through the caller's own Django connection.

Rules that hold here: as in `starts`. Django itself is never imported: what is here works on the caller's object, by the
attributes that Django documents; the INSERT runs through Django's own cursor, so that its atomic blocks, its savepoints,
its log of queries and its exceptions are what the caller knows.
"""

from __future__ import annotations

from typing import Any

import psycopg

from saga.errors import SagaError
from saga.store import starts
from saga.store.sql import Statement
from saga.store.starts import NewSaga, Started

_CONNECTIONS = {
    ("django.utils.connection", "ConnectionProxy"),  # django.db.connection
    ("django.db.backends.base.base", "BaseDatabaseWrapper"),  # what django.db.connections[…] gives
}


def start_sync(within: Any, schema: str, new: NewSaga) -> Started | None:
    """Through Django's connection; None when it is something else of Django's.

    Raises:
        SagaError: autocommit, not Postgres, or not psycopg 3.
        django.db.Error: whatever Django makes of the database's error; 40001 and 40P01 are its OperationalError.
    """
    if not {(base.__module__, base.__name__) for base in type(within).__mro__} & _CONNECTIONS:
        return None
    if within.vendor != "postgresql":
        raise SagaError(
            f"within= is Django's connection {within.alias!r} to {within.vendor}: a saga starts in its Postgres only; "
            "give django.db.connections[…] of that database"
        )
    _refuse_outside_of_atomic(autocommit=within.get_autocommit(), alias=within.alias)
    if not isinstance(within.connection, psycopg.Connection):
        raise SagaError(
            f"within= is Django's connection {within.alias!r} with the driver {type(within.connection).__module__}: "
            "install psycopg 3 (pip install psycopg) and take psycopg2 out, then Django uses it"
        )

    def run(statement: Statement) -> tuple[Any, ...] | None:
        with within.cursor() as cursor:
            cursor.execute(statement.on(schema), starts.used(statement, schema, new))
            row = cursor.fetchone()
            return None if row is None else tuple(row)

    return starts.start(run, new)


def _refuse_outside_of_atomic(*, autocommit: bool, alias: str) -> None:
    if autocommit:
        raise SagaError(
            "within= is in autocommit: the saga would start although your own writes may fail; open a transaction, "
            f"`with transaction.atomic(using={alias!r}):`, and start the saga in it"
        )

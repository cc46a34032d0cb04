"""Which version of the schema a database has, and whether this code serves it.

Rules that hold here: code serves exactly `SCHEMA_REVISION`, and outside it a worker refuses to start with a sentence that
says what to run; whoever starts on a silent connection ends with a sentence, too. Nothing here knows how to migrate: every
worker and every service looks, and few migrate.
"""

from __future__ import annotations

import math
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from saga.errors import SchemaMismatch
from saga.store import urls
from saga.store.patience import ANSWER_WITHIN_S, hung_up_after
from saga.store.schema import SCHEMA_REVISION
from saga.store.sql import quote


def scripts() -> Path:
    """Where the migrations are: in the wheel `saga/migrations`, in a checkout the folder beside `saga`."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "migrations"
    return inside if inside.is_dir() else package.parent / "migrations"


def revision(url: str, schema: str = "saga") -> str | None:
    """The revision that the database has; None where the schema was never made.

    Raises:
        DatabaseUnreachable: nothing answers at `url`.
    """
    options = {"connect_timeout": math.ceil(ANSWER_WITHIN_S), **conninfo_to_dict(urls.conninfo(url))}
    where = make_conninfo("", **options)
    table = f"{quote(schema)}.alembic_version"
    try:
        with (
            psycopg.connect(where) as connection,
            hung_up_after(connection.fileno(), ANSWER_WITHIN_S),
        ):
            if connection.execute("SELECT to_regclass(%s)", (table,)).fetchone() == (None,):
                return None
            row = connection.execute(f"SELECT version_num FROM {table}".encode()).fetchone()
            return None if row is None else str(row[0])
    except psycopg.OperationalError as error:
        raise urls.unreachable(url, error) from None


def require(url: str, schema: str = "saga") -> None:
    """Refuse a schema that this code does not serve.

    Raises:
        SchemaMismatch: too old, too new or absent; the sentence says what to run.
        DatabaseUnreachable: nothing answers at `url`.
    """
    found = revision(url, schema)
    if found == SCHEMA_REVISION:
        return
    refuse_newer(found, schema)
    have = f'is at revision "{found}"' if found else "does not exist"
    raise SchemaMismatch(
        f'schema "{schema}" {have}, this code needs "{SCHEMA_REVISION}": run `saga db upgrade`'
    )


def refuse_newer(found: str | None, schema: str) -> None:
    """Refuse a revision that this code has never heard of.

    Raises:
        SchemaMismatch: with the sentence.
    """
    if found is not None and found not in _known():
        raise SchemaMismatch(
            f'schema "{schema}" is at revision "{found}", newer than this code ("{SCHEMA_REVISION}"): '
            "install the release of saga-engine that made it"
        )


def _known() -> set[str]:
    return {path.name.split("_", 1)[0] for path in (scripts() / "versions").glob("[0-9]*.py")}

"""Brings the schema to this version, and says which version a database has.

Rules that hold here: nothing migrates by itself; code serves exactly `SCHEMA_REVISION`, and outside it a
worker refuses to start with a sentence that says what to run.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import psycopg
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Dialect, create_engine, event, text
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.pool import NullPool

from saga.errors import SchemaMismatch
from saga.store import urls
from saga.store.patience import hung_up_after
from saga.store.schema import SCHEMA_REVISION
from saga.store.sql import quote

TRIES = 5
ANSWER_WITHIN_S = 20.0
"""A process that starts on a half-open connection must not wait for ever: it ends with a sentence, and is started again."""


def scripts() -> Path:
    """Where the migrations are: in the wheel `saga/migrations`, in a checkout the folder beside `saga`."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "migrations"
    return inside if inside.is_dir() else package.parent / "migrations"


def _config(schema: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    config.attributes["schema"] = schema
    return config


def upgrade(url: str, schema: str = "saga") -> str | None:
    """Migrate to this version's revision; the revision that it had before, None for an empty database.

    Raises:
        DatabaseUnreachable: nothing answers at `url`.
        SchemaMismatch: the schema is newer than this code.
    """
    for _ in range(TRIES):
        with contextlib.suppress(_Overtaken):
            return _upgrade(url, schema)
    raise SchemaMismatch(f'schema "{schema}" is being migrated by others: run `saga db upgrade` again')


def _upgrade(url: str, schema: str) -> str | None:
    """Once. Of several at once, one migrates and the others wait for it, and then find nothing to do.

    Raises:
        _Overtaken: another made the schema, or its next revision, at this very moment.
    """
    config = _config(schema)
    with _connection(url) as connection:
        before = _revision(connection, schema)
        _refuse_newer(before, schema)
        try:
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}"))
            if before is not None:
                connection.execute(text(f"LOCK TABLE {quote(schema)}.alembic_version IN EXCLUSIVE MODE"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
        except (IntegrityError, ProgrammingError) as error:
            connection.rollback()
            if _revision(connection, schema) != before:
                raise _Overtaken from error
            raise
    return before


class _Overtaken(Exception):
    """Another process migrates this schema, too."""


def script(schema: str = "saga") -> str:
    """The SQL of all migrations, for a DBA."""
    config = _config(schema)
    config.output_buffer = io.StringIO()
    command.upgrade(config, "head", sql=True)
    return f"CREATE SCHEMA IF NOT EXISTS {quote(schema)};\n\n{config.output_buffer.getvalue()}"


def revision(url: str, schema: str = "saga") -> str | None:
    """The revision that the database has; None where the schema was never made.

    Raises:
        DatabaseUnreachable: nothing answers at `url`.
    """
    with _connection(url, ANSWER_WITHIN_S) as connection:
        return _revision(connection, schema)


def require(url: str, schema: str = "saga") -> None:
    """Refuse a schema that this code does not serve.

    Raises:
        SchemaMismatch: too old, too new or absent; the sentence says what to run.
        DatabaseUnreachable: nothing answers at `url`.
    """
    found = revision(url, schema)
    if found == SCHEMA_REVISION:
        return
    _refuse_newer(found, schema)
    have = f'is at revision "{found}"' if found else "does not exist"
    raise SchemaMismatch(
        f'schema "{schema}" {have}, this code needs "{SCHEMA_REVISION}": run `saga db upgrade`'
    )


def _refuse_newer(found: str | None, schema: str) -> None:
    if found is not None and found not in _known():
        raise SchemaMismatch(
            f'schema "{schema}" is at revision "{found}", newer than this code ("{SCHEMA_REVISION}"): '
            "install the release of saga-engine that made it"
        )


def _known() -> set[str]:
    return {path.name.split("_", 1)[0] for path in (scripts() / "versions").glob("[0-9]*.py")}


def _revision(connection: Connection, schema: str) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table_schema": schema})
    return context.get_current_revision()


@contextlib.contextmanager
def _connection(url: str, seconds: float | None = None) -> Generator[Connection]:
    """A connection; with `seconds`, one that is broken off when the block lasts longer."""
    engine = create_engine(urls.parse(url), poolclass=NullPool)
    limits = contextlib.ExitStack()

    def limited(dialect: Dialect, _: object, positional: list[Any], named: dict[str, Any]) -> Any:
        made = dialect.connect(*positional, **{"connect_timeout": math.ceil(seconds or 0), **named})
        limits.enter_context(hung_up_after(cast("psycopg.Connection", made).fileno(), seconds or 0))
        return made

    if seconds is not None:
        event.listen(engine, "do_connect", limited)  # before SQLAlchemy's own first questions
    try:
        with limits, engine.connect() as connection:
            yield connection
    except OperationalError as error:
        raise urls.unreachable(url, error) from None
    finally:
        engine.dispose()

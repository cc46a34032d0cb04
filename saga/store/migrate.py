"""Brings the schema to this version.

Rules that hold here: nothing migrates by itself; whoever does is alone, and the others wait and find it done. Only what
migrates imports this, because Alembic takes longer to load than all the rest of a worker.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Generator

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.pool import NullPool

from saga.errors import SchemaMismatch
from saga.store import revisions, urls
from saga.store.sql import quote

TRIES = 5


def _config(schema: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(revisions.scripts()).replace("%", "%%"))
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
        revisions.refuse_newer(before, schema)
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


def _revision(connection: Connection, schema: str) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table_schema": schema})
    return context.get_current_revision()


@contextlib.contextmanager
def _connection(url: str) -> Generator[Connection]:
    engine = create_engine(urls.parse(url), poolclass=NullPool)
    try:
        with engine.connect() as connection:
            yield connection
    except OperationalError as error:
        raise urls.unreachable(url, error) from None
    finally:
        engine.dispose()

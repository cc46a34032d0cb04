"""The table: its SQL and its SQLAlchemy form are one, in any schema; and nothing leaves it too early."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, create_engine, make_url

from saga.barrier import Barrier, BarrierError, ddl, table
from tests.integration.barrier.place import Place

SHAPE = {
    "columns": "SELECT column_name, data_type, is_nullable, column_default FROM information_schema.columns"
    " WHERE table_schema = %s AND table_name = 'saga_barrier' ORDER BY ordinal_position",
    "constraints": "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE conrelid = format('%%I.saga_barrier', %s::text)::regclass ORDER BY conname",
    "indexes": "SELECT indexname, substr(indexdef, strpos(indexdef, ' USING ')) FROM pg_indexes WHERE schemaname = %s"
    " ORDER BY indexname",
}
OLD = "UPDATE saga_barrier SET at = now() - interval '91 days' WHERE key = %s AND side = %s"


def shape(url: str, schema: str) -> dict[str, list[tuple[Any, ...]]]:
    """What Postgres says of the table."""
    with psycopg.connect(url) as connection:
        return {
            what: connection.execute(query.encode(), [schema]).fetchall() for what, query in SHAPE.items()
        }


def test_s36_the_sql_and_the_table_make_the_same(empty_database_url: str) -> None:
    """A service may take either into its migrations, and autogenerate finds nothing to do."""
    url = make_url(empty_database_url).set(drivername="postgresql+psycopg")
    metadata = MetaData()
    table(metadata, schema="by table")
    engine = create_engine(url)
    with engine.begin() as connection:
        for schema in ("by table", "by sql", "by create"):
            connection.exec_driver_sql(f'CREATE SCHEMA "{schema}"')
        connection.exec_driver_sql(ddl("by sql"))
        Barrier(schema="by create").create(connection)
        metadata.create_all(connection)
    shapes = [shape(empty_database_url, schema) for schema in ("by table", "by sql", "by create")]
    assert shapes[0] == shapes[1] == shapes[2]
    assert all(shapes[0].values())
    own = MetaData()
    table(own, schema="by sql")
    with engine.connect() as connection:
        options = {
            "include_schemas": True,
            "include_name": lambda name, kind, _: kind != "schema" or name == "by sql",
            "compare_server_default": True,
        }
        assert compare_metadata(MigrationContext.configure(connection, opts=options), own) == []
    engine.dispose()


def test_s36_nothing_is_purged_before_its_time() -> None:
    """Less than `keeps` is refused, and so is a `keeps` that no late compensation could survive."""
    with pytest.raises(BarrierError, match="less than a day"):
        Barrier(keeps="23h")
    with pytest.raises(BarrierError, match="skip itself"):
        Barrier(keeps="90d").purge(object(), older_than="89d")


def test_s36_a_purge_takes_both_sides_or_neither(place: Place) -> None:
    """A young compensation keeps its action: without it, a late action would run after it was undone."""
    barrier = Barrier(keeps="90d")
    with psycopg.connect(place.url) as connection:
        for key in ("old", "undone", "undone long ago", "young", "started"):
            with barrier.action(connection, key, request=None):
                pass
        for key in ("undone", "undone long ago"):
            with barrier.compensation(connection, key, request=None):
                pass
        barrier.fence(connection, "fenced long ago")
        for key in ("old", "undone", "undone long ago", "started", "fenced long ago"):
            connection.execute(OLD, [key, "action"])
        connection.execute(OLD, ["undone long ago", "compensation"])
        connection.execute("UPDATE saga_barrier SET state = 'started' WHERE key = 'started'")
        connection.commit()
        counted = [
            barrier.purge(connection, most=2),
            barrier.purge(connection, older_than="90d"),
            barrier.purge(connection),
        ]
        assert sum(counted) == 4
    assert {key for key, _, _ in place.rows()} == {"undone", "young", "started"}


def test_s36_a_purge_leaves_what_a_compensation_holds(place: Place) -> None:
    """The compensation has found its action: that may not vanish under it."""
    barrier = Barrier(keeps="90d")
    with psycopg.connect(place.url) as connection, psycopg.connect(place.url) as purging:
        with barrier.action(connection, "k", request=None):
            pass
        connection.execute(OLD, ["k", "action"])
        connection.commit()
        with barrier.compensation(connection, "k", request=None) as held:
            assert held.mine
            assert barrier.purge(purging) == 0
            purging.commit()
        connection.commit()
        assert barrier.purge(purging) == 0
    assert len(place.rows()) == 2

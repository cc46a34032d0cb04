"""The migrations make exactly the tables of `saga.store.schema`, both ways, whatever the schema is called."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine

from saga.errors import DatabaseUnreachable, SchemaMismatch
from saga.store import migrate, revisions
from saga.store.schema import SCHEMA_REVISION, metadata
from saga.store.sql import quote
from saga.store.urls import conninfo, parse

OTHER = "Other schema-7"
# What Postgres itself says of everything in a schema; {s} is its name, which the texts may repeat.
CATALOG = {
    "columns": "SELECT table_name, column_name, data_type, is_nullable, column_default"
    " FROM information_schema.columns WHERE table_schema = %(s)s",
    "constraints": "SELECT conrelid::regclass::text, conname, contype, pg_get_constraintdef(oid)"
    " FROM pg_constraint WHERE connamespace = %(s)s::regnamespace AND contype <> 'n'",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = %(s)s",
    "settings of tables": "SELECT relname, reloptions FROM pg_class WHERE relnamespace = %(s)s::regnamespace"
    " AND relkind = 'r'",
}


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    engine = create_engine(parse(database_url))
    with engine.connect() as made:
        yield made
    engine.dispose()


def differences(connection: Connection, schema: str) -> list[Any]:
    """What alembic would still do; the version table is its own."""

    def ours(name: str | None, kind: str, parents: Any) -> bool:
        if kind == "schema":
            return name == schema
        return name != "alembic_version"

    options = {"version_table_schema": schema, "include_schemas": True, "include_name": ours,
               "compare_type": True, "compare_server_default": True}  # fmt: skip
    found: list[Any] = compare_metadata(
        MigrationContext.configure(connection, opts=options), metadata(schema)
    )
    return found


def catalog(url: str, schema: str) -> dict[str, list[str]]:
    """Everything that Postgres says of the schema, with its name taken out."""
    with psycopg.connect(conninfo(url)) as reading:
        found = {what: reading.execute(query.encode(), {"s": quote(schema) if "regnamespace" in query else schema}).fetchall()
                 for what, query in CATALOG.items()}  # fmt: skip
    said = {what: sorted(" | ".join(map(str, row)).replace(f"{quote(schema)}.", "{s}.").replace(f"{schema}.", "{s}.") for row in each)
            for what, each in found.items()}  # fmt: skip
    return {what: [row for row in each if "alembic_version" not in row] for what, each in said.items()}


def test_alembic_finds_nothing_to_do(connection: Connection) -> None:
    """Tables, columns, types, defaults and indexes of the metadata and of the migrations are the same."""
    assert differences(connection, "saga") == []


def test_the_tables_of_the_metadata_are_those_of_the_migrations(
    database_url: str, connection: Connection
) -> None:
    """Made directly, they read the same in Postgres's own words: CHECKs, partial indexes and fill factors, too."""
    connection.exec_driver_sql("CREATE SCHEMA direct")
    metadata("direct").create_all(connection)
    connection.commit()
    migrated, direct = catalog(database_url, "saga"), catalog(database_url, "direct")
    for what in CATALOG:
        assert migrated[what] == direct[what], what
    assert len(migrated["constraints"]) > 25


def test_schemas_of_other_names_live_side_by_side(database_url: str, connection: Connection) -> None:
    """A second engine, or a tenant, has a schema of its own in the same database; a strange name is quoted."""
    assert migrate.upgrade(database_url, OTHER) is None
    assert differences(connection, OTHER) == []
    assert differences(connection, "saga") == []
    assert catalog(database_url, OTHER) == catalog(database_url, "saga")
    revisions.require(database_url, OTHER)
    with psycopg.connect(conninfo(database_url), autocommit=True) as using:
        using.execute(f"INSERT INTO {quote(OTHER)}.worker (id, lane, host, pid, serves, state, lease)"
                      " VALUES (gen_random_uuid(), 0, 'h', 1, '[]', 'working', '1 s')".encode())  # fmt: skip
        assert using.execute("SELECT count(*) FROM saga.worker").fetchone() == (0,)


def test_each_schema_has_a_secret_of_its_own(database_url: str) -> None:
    """Keys of two engines never meet in one service."""
    migrate.upgrade(database_url, OTHER)
    with psycopg.connect(conninfo(database_url)) as reading:
        both = " UNION ALL ".join(f"SELECT value FROM {quote(name)}.setting" for name in ("saga", OTHER))
        query = f"SELECT count(DISTINCT value), min(length(value)) FROM ({both}) secrets"
        assert reading.execute(query.encode()).fetchone() == (2, 72)


def test_upgrades_at_once_make_one_schema(empty_database_url: str) -> None:
    """Several deployments that begin together end with one schema, and none of them with an error."""
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: migrate.upgrade(empty_database_url), range(6)))
    assert set(found) <= {None, SCHEMA_REVISION}
    revisions.require(empty_database_url)


def test_a_second_upgrade_changes_nothing(database_url: str) -> None:
    """It says which revision was there, and keeps the secret that keys derive from."""
    with psycopg.connect(conninfo(database_url)) as reading:
        before = reading.execute("SELECT value FROM saga.setting").fetchall()
    catalog_before = catalog(database_url, "saga")
    assert migrate.upgrade(database_url) == SCHEMA_REVISION
    assert catalog(database_url, "saga") == catalog_before
    with psycopg.connect(conninfo(database_url)) as reading:
        assert reading.execute("SELECT value FROM saga.setting").fetchall() == before


@pytest.mark.parametrize("schema", ["saga", OTHER])
def test_the_script_runs_as_plain_sql(empty_database_url: str, database_url: str, schema: str) -> None:
    """A DBA who runs it by hand gets the very same schema, and the code serves it."""
    with psycopg.connect(conninfo(empty_database_url)) as dba:
        dba.execute(migrate.script(schema).encode())
    revisions.require(empty_database_url, schema)
    assert catalog(empty_database_url, schema) == catalog(database_url, "saga")
    assert migrate.upgrade(empty_database_url, schema) == SCHEMA_REVISION


def test_a_schema_that_does_not_exist_is_refused_with_what_to_run(empty_database_url: str) -> None:
    """Nothing migrates by itself."""
    assert revisions.revision(empty_database_url) is None
    with pytest.raises(SchemaMismatch, match=r'schema "saga" does not exist.*run `saga db upgrade`'):
        revisions.require(empty_database_url)


def test_a_schema_that_is_too_old_is_refused_with_what_to_run(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence says which revision is there and which is needed."""
    monkeypatch.setattr(revisions, "SCHEMA_REVISION", "9999")
    with pytest.raises(SchemaMismatch, match=r'is at revision "0001".*needs "9999": run `saga db upgrade`'):
        revisions.require(database_url)


@pytest.mark.parametrize("act", [revisions.require, migrate.upgrade])
def test_a_schema_that_is_too_new_is_refused_and_left_alone(database_url: str, act: Any) -> None:
    """Older code neither works on it nor migrates it back."""
    with psycopg.connect(conninfo(database_url)) as future:
        future.execute("UPDATE saga.alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaMismatch, match=r'revision "9999", newer than this code.*install the release'):
        act(database_url)
    assert revisions.revision(database_url) == "9999"


def test_a_database_that_does_not_answer_is_a_sentence(database_url: str) -> None:
    """Not a traceback of the driver, and without the password."""
    gone = database_url.replace("port=5432", "port=1").replace("postgres@", "postgres:hush@")
    with pytest.raises(DatabaseUnreachable, match="does not answer") as told:
        revisions.require(gone)
    assert "hush" not in str(told.value)


@pytest.mark.parametrize("table", ["evidence", "audit"])
@pytest.mark.parametrize("act", ["UPDATE saga.{} SET saga_id = saga_id", "DELETE FROM saga.{}"])
def test_s3_what_is_insert_only_can_neither_be_changed_nor_deleted(
    database_url: str, table: str, act: str
) -> None:
    """Not by anybody, the owner of the tables included: evidence and audit only grow."""
    rows = {
        "evidence": "INSERT INTO saga.evidence (id, saga_id, step, direction, attempt, kind, body) VALUES"
        " (gen_random_uuid(), gen_random_uuid(), 's', 'forward', 1, 'lost', '{}')",
        "audit": "INSERT INTO saga.audit (number, who, act, because, detail, previous, digest) VALUES"
        " (1, 'ada', 'retry', 'why', '{}', '', '')",
    }
    with psycopg.connect(conninfo(database_url), autocommit=True) as writing:
        writing.execute(rows[table].encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match=f"{table} is insert-only"):
            writing.execute(act.format(table).encode())
        assert writing.execute(f"SELECT count(*) FROM saga.{table}".encode()).fetchone() == (1,)


def test_s3_evidence_goes_with_a_purged_saga_only_and_is_changed_by_nobody(database_url: str) -> None:
    """The mark is what lets it go, and only what has ended can be marked; what is left is as insert-only as ever."""
    with psycopg.connect(conninfo(database_url), autocommit=True) as writing:
        writing.execute(
            "INSERT INTO saga.saga (id, name, version, key, status, input, input_hash) VALUES"
            " (gen_random_uuid(), 'order', 1, 'k', 'asleep', '1', '')"
        )
        writing.execute(
            "INSERT INTO saga.evidence (id, saga_id, step, direction, attempt, kind, body)"
            " SELECT gen_random_uuid(), id, 's', 'forward', 1, 'lost', '{}' FROM saga.saga"
        )
        with pytest.raises(psycopg.errors.CheckViolation, match="purged_after_end"):
            writing.execute("UPDATE saga.saga SET purged_at = now()")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            writing.execute("DELETE FROM saga.evidence")
        writing.execute("UPDATE saga.saga SET status = 'completed', finished_at = now()")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            writing.execute("DELETE FROM saga.evidence")
        writing.execute("UPDATE saga.saga SET purged_at = now()")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            writing.execute("UPDATE saga.evidence SET step = 't'")
        assert writing.execute("DELETE FROM saga.evidence").rowcount == 1

"""The one table, in the database of the service that owns it: as SQL, and as a SQLAlchemy `Table`.

Rules that hold here: the SQL is what a migration runs and never changes once released, a later shape is a
later statement; the `Table` is for the service's own metadata, so that Alembic's autogenerate knows it. A
test compares the two. The table lives beside the business tables, because it commits with them.
"""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import CheckConstraint, Column, DateTime, Index, MetaData, Table, Text, text
from sqlalchemy.dialects.postgresql import JSON

from saga.barrier.records import KEY_CHARACTERS, Side, State
from saga.store.sql import quote

NAME = "saga_barrier"

_DDL = """\
CREATE TABLE {s}.saga_barrier (
    key text NOT NULL,
    side text NOT NULL,
    name text NOT NULL DEFAULT '',
    state text NOT NULL,
    request_hash text,
    result json,
    reply json,
    at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT pk_saga_barrier PRIMARY KEY (key, side),
    CONSTRAINT ck_saga_barrier_key_length CHECK (length(key) BETWEEN 1 AND 255),
    CONSTRAINT ck_saga_barrier_side_known CHECK (side IN ('action', 'compensation')),
    CONSTRAINT ck_saga_barrier_state_known
        CHECK (state IN ('started', 'done', 'refused', 'fenced', 'skipped')),
    CONSTRAINT ck_saga_barrier_fenced_action CHECK (state <> 'fenced' OR side = 'action'),
    CONSTRAINT ck_saga_barrier_skipped_compensation CHECK (state <> 'skipped' OR side = 'compensation')
);
CREATE INDEX ix_saga_barrier_age ON {s}.saga_barrier (at) WHERE side = 'action';
"""


def ddl(schema: str = "public") -> str:
    """The SQL that makes the table: `op.execute(saga.barrier.ddl())` in a migration of the service."""
    return _DDL.format(s=quote(schema))


def table(metadata: MetaData, schema: str | None = None) -> Table:
    """The table in the service's own metadata. schema: None leaves it to the metadata and the search path."""

    def check(name: str, rule: str) -> CheckConstraint:
        return CheckConstraint(rule, name=f"ck_{NAME}_{name}")

    made = Table(
        NAME,
        metadata,
        Column("key", Text, primary_key=True),
        Column("side", Text, primary_key=True),
        Column("name", Text, nullable=False, server_default=""),
        Column("state", Text, nullable=False),
        Column("request_hash", Text),
        Column("result", JSON),
        Column("reply", JSON),
        Column("at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
        check("key_length", f"length(key) BETWEEN 1 AND {KEY_CHARACTERS}"),
        check("side_known", f"side IN ({_quoted(Side)})"),
        check("state_known", f"state IN ({_quoted(State)})"),
        check("fenced_action", f"state <> '{State.FENCED}' OR side = '{Side.ACTION}'"),
        check("skipped_compensation", f"state <> '{State.SKIPPED}' OR side = '{Side.COMPENSATION}'"),
        Index(f"ix_{NAME}_age", "at", postgresql_where=text(f"side = '{Side.ACTION}'")),
        schema=schema,
    )
    made.primary_key.name = f"pk_{NAME}"
    return made


def _quoted(members: type[StrEnum]) -> str:
    return ", ".join(f"'{member.value}'" for member in members)

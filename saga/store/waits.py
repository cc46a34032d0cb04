"""The tables of what sagas wait for: their moments, and the signals that are sent to them. A part of `saga.store.schema`."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSON

from saga.core.model import DRAWN, MomentKind
from saga.store.parts import one_of, quoted, when


def moment(made: MetaData) -> Table:
    """What a saga function was given that no service did, by its identity, as an effect has one."""
    return Table(
        "moment",
        made,
        Column("saga_id", Uuid, primary_key=True),
        Column("step", Text, primary_key=True),
        Column("kind", Text, nullable=False),
        Column("position", Integer, nullable=False),
        when("made_at", nullable=False, now=True),
        when("due_at"),
        Column("signal", Uuid),
        Column("value", JSON),
        Column("completion", Integer),
        when("ended_at"),
        one_of("kind", MomentKind),
        CheckConstraint(f"(kind IN ({quoted(DRAWN)})) = (value IS NOT NULL)", name="value_when_drawn"),
        CheckConstraint("kind <> 'sleep' OR due_at IS NOT NULL", name="sleep_is_due"),
        CheckConstraint("(completion IS NULL) = (ended_at IS NULL)", name="completion_when_ended"),
        CheckConstraint(
            "signal IS NULL OR (kind = 'signal' AND completion IS NOT NULL)", name="signal_when_ended"
        ),
        Index("uq_moment_signal", "signal", unique=True, postgresql_where=text("signal IS NOT NULL")),
        postgresql_with={"fillfactor": "50"},
    )


def signal(made: MetaData) -> Table:
    """What was sent to a saga; the moment of the wait that took it says so."""
    return Table(
        "signal",
        made,
        Column("id", Uuid, primary_key=True),
        Column("saga_id", Uuid, nullable=False),
        Column("number", BigInteger, nullable=False),
        Column("name", Text, nullable=False),
        Column("key", Text),
        when("sent_at", nullable=False, now=True),
        Column("payload", JSON, nullable=False),
        UniqueConstraint("saga_id", "name", "key"),
    )

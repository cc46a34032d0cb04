"""The tables and their CHECKs: the truth that the migrations must produce (a test compares both ways).

Rules that hold here: an effect is one row per (saga, step identity, direction); evidence and audit are only
ever inserted, but that evidence goes with a saga that is marked as purged; a worker's row is the lease on all its sagas; a saga has an owner exactly while it runs.
JSON columns are `json` and not `jsonb`, which would reorder the keys of a user's dict between the first run
and a replay.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    Interval,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSON

from saga.core.evidence import EvidenceKind
from saga.core.model import Direction, EffectStatus, ParkCause, SagaStatus
from saga.store import standing, waits
from saga.store.parts import one_of, quoted, when

SCHEMA_REVISION = "0001"
"""The revision that this code is written for; outside it a worker refuses to start."""

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


def metadata(schema: str = "saga") -> MetaData:
    """All tables of one engine, in `schema`."""
    made = MetaData(schema=schema, naming_convention=NAMES)
    for build in (
        _saga,
        _tag,
        _effect,
        _evidence,
        waits.moment,
        waits.signal,
        _watch,
        _worker,
        standing.service,
        _request,
        _audit,
        _setting,
        _last_good,
    ):
        build(made)
    return made


def _saga(made: MetaData) -> Table:
    return Table(
        "saga",
        made,
        Column("id", Uuid, primary_key=True),
        when("created_at", nullable=False, now=True),
        Column("name", Text, nullable=False),
        Column("version", Integer, nullable=False),
        Column("key", Text, nullable=False),
        Column("input_hash", Text, nullable=False),
        Column("input", JSON, nullable=False),
        Column("direction", Text, nullable=False, server_default=Direction.FORWARD.value),
        Column("inbox", BigInteger, nullable=False, server_default="0"),
        Column("cancel_requested", Boolean, nullable=False, server_default=text("false")),
        when("deadline_at"),
        when("wake_at", nullable=False, now=True),
        Column("status", Text, nullable=False),
        Column("epoch", BigInteger, nullable=False, server_default="0"),
        Column("revision", BigInteger, nullable=False, server_default="0"),
        Column("owner", Uuid),
        Column("lane", SmallInteger),
        Column("last_write", Uuid),
        when("updated_at", nullable=False, now=True),
        when("finished_at"),
        Column("waiting_for", Text),
        Column("output", JSON),
        Column("error", JSON),
        Column("degraded", JSON),
        Column("plan", JSON),
        Column("amendment", JSON),
        Column("park_cause", Text),
        Column("park_reason", Text),
        Column("park_detail", JSON),
        Column("alarm", Text),
        when("purged_at"),
        UniqueConstraint("name", "key"),
        *_saga_rules(),
        postgresql_with={"fillfactor": "50"},
    )


def _saga_rules() -> list[CheckConstraint | Index]:
    """Which rows a saga may be, and what is found without reading the ended ones."""
    ended = quoted([SagaStatus.COMPLETED, SagaStatus.COMPENSATED, SagaStatus.ABANDONED])
    return [
        one_of("status", SagaStatus),
        one_of("direction", Direction),
        one_of("park_cause", ParkCause, nullable=True),
        CheckConstraint("(status = 'running') = (owner IS NOT NULL)", name="owner_while_running"),
        CheckConstraint("(owner IS NULL) = (lane IS NULL)", name="lane_with_owner"),
        CheckConstraint("(status = 'parked') = (park_cause IS NOT NULL)", name="cause_while_parked"),
        CheckConstraint("(direction = 'backward') = (plan IS NOT NULL)", name="plan_while_backward"),
        CheckConstraint("status <> 'completed' OR direction = 'forward'", name="completed_forward"),
        CheckConstraint("status <> 'compensated' OR direction = 'backward'", name="compensated_backward"),
        CheckConstraint(f"(status IN ({ended})) = (finished_at IS NOT NULL)", name="finished_at_end"),
        CheckConstraint("purged_at IS NULL OR finished_at IS NOT NULL", name="purged_after_end"),
        Index("ix_saga_ready", "wake_at", postgresql_where=text("status = 'ready'")),
        Index("ix_saga_asleep", "wake_at", postgresql_where=text("status = 'asleep'")),
        Index(
            "ix_saga_held",
            "waiting_for",
            "wake_at",
            postgresql_where=text("status = 'asleep' AND starts_with(waiting_for, 'service ')"),
        ),
        Index("ix_saga_owner", "owner", postgresql_where=text("status = 'running'")),
        Index("ix_saga_parked", "park_cause", postgresql_where=text("status = 'parked'")),
        Index("ix_saga_alarm", "id", postgresql_where=text("alarm IS NOT NULL")),
        Index("ix_saga_purged", "purged_at", postgresql_where=text("purged_at IS NOT NULL")),
    ]


def _tag(made: MetaData) -> Table:
    """What sagas are found by. Beside `saga`, because each version of a row there would make the entries of its indexes anew."""
    return Table(
        "tag",
        made,
        Column("saga_id", Uuid, primary_key=True),
        Column("name", Text, primary_key=True),
        Column("value", Text, nullable=False),
        Index(None, "name", "value", "saga_id"),
    )


def _effect(made: MetaData) -> Table:
    settled = "('succeeded', 'refused', 'not_executed', 'accepted')"
    return Table(
        "effect",
        made,
        # No foreign key: an intent is inserted by joining the locked saga row, which says more.
        Column("saga_id", Uuid, primary_key=True),
        Column("step", Text, primary_key=True),
        Column("direction", Text, primary_key=True),
        Column("position", Integer, nullable=False),
        Column("name", Text, nullable=False),
        Column("service", Text, nullable=False),
        Column("key", Text, nullable=False),
        Column("request_hash", Text, nullable=False),
        Column("arguments", JSON, nullable=False),
        Column("worker", Uuid, nullable=False),
        Column("intent_id", Uuid, nullable=False),
        when("first_intent_at", nullable=False),
        when("intent_at", nullable=False),
        when("deadline_at", nullable=False),
        when("key_expires_at"),
        Column("attempt", Integer, nullable=False),
        Column("probes", Integer, nullable=False, server_default="0"),
        Column("by_statement", Boolean, nullable=False, server_default=text("false")),
        Column("status", Text, nullable=False),
        Column("completion", Integer),
        when("ended_at"),
        when("doubt_since"),
        Column("proof", Text),
        Column("result", JSON),
        Column("error", JSON),
        one_of("status", EffectStatus),
        one_of("direction", Direction),
        CheckConstraint("attempt >= 1", name="attempt_counts_from_one"),
        CheckConstraint(f"(status IN {settled}) = (completion IS NOT NULL)", name="completion_when_settled"),
        CheckConstraint("status <> 'doubt' OR doubt_since IS NOT NULL", name="doubt_has_begun"),
        CheckConstraint("status <> 'succeeded' OR proof IS NOT NULL", name="success_has_proof"),
        Index(None, "key"),
        Index("ix_effect_in_doubt", "service", postgresql_where=text("doubt_since IS NOT NULL")),
        postgresql_with={"fillfactor": "50"},
    )


def _evidence(made: MetaData) -> Table:
    return Table(
        "evidence",
        made,
        Column("id", Uuid, primary_key=True),
        Column("saga_id", Uuid, nullable=False),
        Column("step", Text, nullable=False),
        Column("direction", Text, nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("kind", Text, nullable=False),
        when("at", nullable=False, now=True),
        Column("worker", Uuid),
        Column("body", JSON, nullable=False),
        one_of("kind", EvidenceKind),
        one_of("direction", Direction),
        Index(None, "saga_id", "at"),
    )


def _watch(made: MetaData) -> Table:
    """Late watches (S16): effects that were settled as not executed by silence, and may still land."""
    return Table(
        "watch",
        made,
        Column("saga_id", Uuid, primary_key=True),
        Column("step", Text, primary_key=True),
        Column("direction", Text, primary_key=True),
        when("opened_at", nullable=False, now=True),
        when("next_at", nullable=False),
        when("until", nullable=False),
        Column("asked", Integer, nullable=False, server_default="0"),
        one_of("direction", Direction),
        Index(None, "next_at"),
    )


def _worker(made: MetaData) -> Table:
    return Table(
        "worker",
        made,
        Column("id", Uuid, primary_key=True),
        Column("lane", SmallInteger, primary_key=True),
        Column("host", Text, nullable=False),
        Column("pid", Integer, nullable=False),
        Column("serves", JSON, nullable=False),
        Column("state", Text, nullable=False),
        Column("lease", Interval, nullable=False),
        Column("batch", BigInteger, nullable=False, server_default="0"),
        when("started_at", nullable=False, now=True),
        when("beat", nullable=False, now=True),
        CheckConstraint("state IN ('working', 'draining')", name="state_known"),
        postgresql_with={"fillfactor": "50"},  # room for HOT updates: `beat` is never indexed
    )


def _request(made: MetaData) -> Table:
    return Table(
        "request",
        made,
        Column("id", Uuid, primary_key=True),
        Column("saga_id", Uuid, nullable=False),
        Column("step", Text, nullable=False),
        Column("direction", Text, nullable=False),
        Column("asked_by", Text, nullable=False),
        when("asked_at", nullable=False, now=True),
        when("expires_at", nullable=False),
        when("taken_at"),
        Column("taken_by", Uuid),
        when("answered_at"),
        Column("answer", JSON),
        Index("ix_request_open", "asked_at", postgresql_where=text("taken_at IS NULL")),
    )


def _audit(made: MetaData) -> Table:
    return Table(
        "audit",
        made,
        Column("number", BigInteger, primary_key=True, autoincrement=False),
        when("at", nullable=False, now=True),
        Column("who", Text, nullable=False),
        Column("act", Text, nullable=False),
        Column("saga_id", Uuid),
        Column("because", Text, nullable=False),
        Column("detail", JSON, nullable=False),
        Column("previous", Text, nullable=False),
        Column("digest", Text, nullable=False),
        Index(None, "saga_id"),
    )


def _last_good(made: MetaData) -> Table:
    """What reads returned last, for when they cannot be had. A cache: what is lost is asked for again."""
    return Table(
        "last_good",
        made,
        Column("hash", Text, primary_key=True),
        Column("step", Text, nullable=False),
        Column("value", JSON, nullable=False),
        when("at", nullable=False),
        when("until", nullable=False),
        Index(None, "until"),
        postgresql_with={"fillfactor": "50"},
    )


def _setting(made: MetaData) -> Table:
    return Table(
        "setting", made, Column("name", Text, primary_key=True), Column("value", Text, nullable=False)
    )

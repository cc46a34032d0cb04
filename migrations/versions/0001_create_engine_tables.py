"""Create the engine's tables.

Kind: expand
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


GUARDS = {"audit": "insert_only", "evidence": "insert_only_until_purged"}


def upgrade() -> None:
    """Every table, the guards of what is insert-only, and the secret that idempotency keys derive from."""
    schema = str(op.get_context().version_table_schema)
    _audit(schema)
    _effect(schema)
    _evidence(schema)
    _last_good(schema)
    _moment(schema)
    _request(schema)
    _saga(schema)
    _service(schema)
    _setting(schema)
    _signal(schema)
    _tag(schema)
    _watch(schema)
    _worker(schema)
    _guard(schema)
    _secret(schema)


def _audit(schema: str) -> None:
    op.create_table(
        "audit",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("saga_id", sa.Uuid(), nullable=True),
        sa.Column("because", sa.Text(), nullable=False),
        sa.Column("detail", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("previous", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit")),
        schema=schema,
    )
    op.create_index(op.f("ix_audit_saga_id"), "audit", ["saga_id"], unique=False, schema=schema)


def _effect(schema: str) -> None:
    op.create_table(
        "effect",
        sa.Column("saga_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.Text(), nullable=False),
        sa.Column("arguments", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("worker", sa.Uuid(), nullable=False),
        sa.Column("intent_id", sa.Uuid(), nullable=False),
        sa.Column("first_intent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("intent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("probes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("by_statement", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("completion", sa.Integer(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("doubt_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("proof", sa.Text(), nullable=True),
        sa.Column("result", postgresql.JSON(astext_type=sa.Text()), nullable=True),
        sa.Column("error", postgresql.JSON(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint(
            "(status IN ('succeeded', 'refused', 'not_executed', 'accepted')) = (completion IS NOT NULL)",
            name=op.f("ck_effect_completion_when_settled"),
        ),
        sa.CheckConstraint("direction IN ('forward', 'backward')", name=op.f("ck_effect_direction_known")),
        sa.CheckConstraint(
            "status <> 'succeeded' OR proof IS NOT NULL", name=op.f("ck_effect_success_has_proof")
        ),
        sa.CheckConstraint(
            "status IN ('sent', 'doubt', 'idle', 'succeeded', 'refused', 'not_executed', 'accepted')",
            name=op.f("ck_effect_status_known"),
        ),
        sa.CheckConstraint(
            "status <> 'doubt' OR doubt_since IS NOT NULL", name=op.f("ck_effect_doubt_has_begun")
        ),
        sa.CheckConstraint("attempt >= 1", name=op.f("ck_effect_attempt_counts_from_one")),
        sa.PrimaryKeyConstraint("saga_id", "step", "direction", name=op.f("pk_effect")),
        schema=schema,
        postgresql_with={"fillfactor": "50"},
    )
    op.create_index(
        "ix_effect_in_doubt",
        "effect",
        ["service"],
        unique=False,
        schema=schema,
        postgresql_where=sa.text("doubt_since IS NOT NULL"),
    )
    op.create_index(op.f("ix_effect_key"), "effect", ["key"], unique=False, schema=schema)


def _evidence(schema: str) -> None:
    op.create_table(
        "evidence",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("saga_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("worker", sa.Uuid(), nullable=True),
        sa.Column("body", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint("direction IN ('forward', 'backward')", name=op.f("ck_evidence_direction_known")),
        sa.CheckConstraint(
            "kind IN ('intent', 'reply', 'late_reply', 'webhook', 'lost', 'probe', 'statement', 'retry')",
            name=op.f("ck_evidence_kind_known"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evidence")),
        schema=schema,
    )
    op.create_index(
        op.f("ix_evidence_saga_id_at"), "evidence", ["saga_id", "at"], unique=False, schema=schema
    )


def _last_good(schema: str) -> None:
    op.create_table(
        "last_good",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("value", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_last_good")),
        schema=schema,
        postgresql_with={"fillfactor": "50"},
    )
    op.create_index(op.f("ix_last_good_until"), "last_good", ["until"], unique=False, schema=schema)


def _moment(schema: str) -> None:
    op.create_table(
        "moment",
        sa.Column("saga_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("signal", sa.Uuid(), nullable=True),
        sa.Column("value", postgresql.JSON(astext_type=sa.Text()), nullable=True),
        sa.Column("completion", sa.Integer(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind <> 'sleep' OR due_at IS NOT NULL", name=op.f("ck_moment_sleep_is_due")),
        sa.CheckConstraint(
            "kind IN ('sleep', 'signal', 'now', 'new_uuid', 'random')", name=op.f("ck_moment_kind_known")
        ),
        sa.CheckConstraint(
            "(kind IN ('now', 'new_uuid', 'random')) = (value IS NOT NULL)",
            name=op.f("ck_moment_value_when_drawn"),
        ),
        sa.CheckConstraint(
            "signal IS NULL OR (kind = 'signal' AND completion IS NOT NULL)",
            name=op.f("ck_moment_signal_when_ended"),
        ),
        sa.CheckConstraint(
            "(completion IS NULL) = (ended_at IS NULL)", name=op.f("ck_moment_completion_when_ended")
        ),
        sa.PrimaryKeyConstraint("saga_id", "step", name=op.f("pk_moment")),
        schema=schema,
        postgresql_with={"fillfactor": "50"},
    )
    op.create_index(
        "uq_moment_signal",
        "moment",
        ["signal"],
        unique=True,
        schema=schema,
        postgresql_where=sa.text("signal IS NOT NULL"),
    )


def _signal(schema: str) -> None:
    op.create_table(
        "signal",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("saga_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("payload", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signal")),
        sa.UniqueConstraint("saga_id", "name", "key", name=op.f("uq_signal_saga_id_name_key")),
        schema=schema,
    )


def _request(schema: str) -> None:
    op.create_table(
        "request",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("saga_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("taken_by", sa.Uuid(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answer", postgresql.JSON(astext_type=sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_request")),
        schema=schema,
    )
    op.create_index(
        "ix_request_open",
        "request",
        ["asked_at"],
        unique=False,
        schema=schema,
        postgresql_where=sa.text("taken_at IS NULL"),
    )


def _saga(schema: str) -> None:
    op.create_table(
        "saga",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("input_hash", sa.Text(), nullable=False),
        sa.Column("input", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("direction", sa.Text(), server_default="forward", nullable=False),
        sa.Column("inbox", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("wake_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("owner", sa.Uuid(), nullable=True),
        sa.Column("lane", sa.SmallInteger(), nullable=True),
        sa.Column("last_write", sa.Uuid(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("waiting_for", sa.Text(), nullable=True),
        sa.Column("output", postgresql.JSON(astext_type=sa.Text()), nullable=True),
        sa.Column("error", postgresql.JSON(astext_type=sa.Text()), nullable=True),
        sa.Column("degraded", postgresql.JSON(astext_type=sa.Text()), nullable=True),
        sa.Column("plan", postgresql.JSON(astext_type=sa.Text()), nullable=True),
        sa.Column("amendment", postgresql.JSON(astext_type=sa.Text()), nullable=True),
        sa.Column("park_cause", sa.Text(), nullable=True),
        sa.Column("park_reason", sa.Text(), nullable=True),
        sa.Column("park_detail", postgresql.JSON(astext_type=sa.Text()), nullable=True),
        sa.Column("alarm", sa.Text(), nullable=True),
        sa.Column("purged_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "purged_at IS NULL OR finished_at IS NOT NULL", name=op.f("ck_saga_purged_after_end")
        ),
        sa.CheckConstraint(
            "(direction = 'backward') = (plan IS NOT NULL)", name=op.f("ck_saga_plan_while_backward")
        ),
        sa.CheckConstraint(
            "(status = 'parked') = (park_cause IS NOT NULL)", name=op.f("ck_saga_cause_while_parked")
        ),
        sa.CheckConstraint(
            "(status = 'running') = (owner IS NOT NULL)", name=op.f("ck_saga_owner_while_running")
        ),
        sa.CheckConstraint(
            "(status IN ('completed', 'compensated', 'abandoned')) = (finished_at IS NOT NULL)",
            name=op.f("ck_saga_finished_at_end"),
        ),
        sa.CheckConstraint("direction IN ('forward', 'backward')", name=op.f("ck_saga_direction_known")),
        sa.CheckConstraint(
            "park_cause IS NULL OR park_cause IN ('in_doubt', 'compensation_refused', 'compensation_stuck', 'code_changed', 'code_failed', 'not_awaited', 'unstorable', 'mismatch', 'surplus', 'landed_late', 'after_pivot')",
            name=op.f("ck_saga_park_cause_known"),
        ),
        sa.CheckConstraint(
            "status <> 'compensated' OR direction = 'backward'", name=op.f("ck_saga_compensated_backward")
        ),
        sa.CheckConstraint(
            "status <> 'completed' OR direction = 'forward'", name=op.f("ck_saga_completed_forward")
        ),
        sa.CheckConstraint(
            "status IN ('ready', 'running', 'asleep', 'parked', 'completed', 'compensated', 'abandoned')",
            name=op.f("ck_saga_status_known"),
        ),
        sa.CheckConstraint("(owner IS NULL) = (lane IS NULL)", name=op.f("ck_saga_lane_with_owner")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saga")),
        sa.UniqueConstraint("name", "key", name=op.f("uq_saga_name_key")),
        schema=schema,
        postgresql_with={"fillfactor": "50"},
    )
    op.create_index(
        "ix_saga_alarm",
        "saga",
        ["id"],
        unique=False,
        schema=schema,
        postgresql_where=sa.text("alarm IS NOT NULL"),
    )
    op.create_index(
        "ix_saga_asleep",
        "saga",
        ["wake_at"],
        unique=False,
        schema=schema,
        postgresql_where=sa.text("status = 'asleep'"),
    )
    op.create_index(
        "ix_saga_held",
        "saga",
        ["waiting_for", "wake_at"],
        unique=False,
        schema=schema,
        postgresql_where=sa.text("status = 'asleep' AND starts_with(waiting_for, 'service ')"),
    )
    op.create_index(
        "ix_saga_owner",
        "saga",
        ["owner"],
        unique=False,
        schema=schema,
        postgresql_where=sa.text("status = 'running'"),
    )
    op.create_index(
        "ix_saga_parked",
        "saga",
        ["park_cause"],
        unique=False,
        schema=schema,
        postgresql_where=sa.text("status = 'parked'"),
    )
    op.create_index(
        "ix_saga_purged",
        "saga",
        ["purged_at"],
        unique=False,
        schema=schema,
        postgresql_where=sa.text("purged_at IS NOT NULL"),
    )
    op.create_index(
        "ix_saga_ready",
        "saga",
        ["wake_at"],
        unique=False,
        schema=schema,
        postgresql_where=sa.text("status = 'ready'"),
    )


def _service(schema: str) -> None:
    op.create_table(
        "service",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="closed", nullable=False),
        sa.Column("turn", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("cool_down", sa.Interval(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("wave", sa.Integer(), server_default="0", nullable=False),
        sa.Column("taken", sa.Integer(), server_default="0", nullable=False),
        sa.Column("passed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("held_by", sa.Text(), nullable=True),
        sa.Column("held_because", sa.Text(), nullable=True),
        sa.Column("held_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(held_by IS NULL) = (held_because IS NULL)", name=op.f("ck_service_hold_has_a_reason")
        ),
        sa.CheckConstraint(
            "state = 'closed' OR next_at IS NOT NULL", name=op.f("ck_service_next_while_not_closed")
        ),
        sa.CheckConstraint("state IN ('closed', 'open', 'half_open')", name=op.f("ck_service_state_known")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_service")),
        schema=schema,
        postgresql_with={"fillfactor": "50"},
    )


def _setting(schema: str) -> None:
    op.create_table(
        "setting",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_setting")),
        schema=schema,
    )


def _tag(schema: str) -> None:
    op.create_table(
        "tag",
        sa.Column("saga_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("saga_id", "name", name=op.f("pk_tag")),
        schema=schema,
    )
    op.create_index(
        op.f("ix_tag_name_value_saga_id"), "tag", ["name", "value", "saga_id"], unique=False, schema=schema
    )


def _watch(schema: str) -> None:
    op.create_table(
        "watch",
        sa.Column("saga_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint("direction IN ('forward', 'backward')", name=op.f("ck_watch_direction_known")),
        sa.PrimaryKeyConstraint("saga_id", "step", "direction", name=op.f("pk_watch")),
        schema=schema,
    )
    op.create_index(op.f("ix_watch_next_at"), "watch", ["next_at"], unique=False, schema=schema)


def _worker(schema: str) -> None:
    op.create_table(
        "worker",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("lane", sa.SmallInteger(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("serves", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("lease", sa.Interval(), nullable=False),
        sa.Column("batch", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("beat", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("state IN ('working', 'draining')", name=op.f("ck_worker_state_known")),
        sa.PrimaryKeyConstraint("id", "lane", name=op.f("pk_worker")),
        schema=schema,
        postgresql_with={"fillfactor": "50"},
    )


def _guard(schema: str) -> None:
    """Evidence and audit are only ever inserted: an update or a delete is an error, whoever tries.

    The one way past: evidence may go with its saga, once that is marked as purged, which a CHECK allows after its end only.
    """
    op.execute(
        f"""CREATE FUNCTION "{schema}".insert_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' is insert-only', ERRCODE = '42501'; END $$"""
    )
    op.execute(
        f"""CREATE FUNCTION "{schema}".insert_only_until_purged() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' AND EXISTS
                (SELECT FROM "{schema}".saga s WHERE s.id = OLD.saga_id AND s.purged_at IS NOT NULL)
            THEN RETURN OLD; END IF;
            RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' is insert-only', ERRCODE = '42501';
        END $$"""
    )
    for table, guard in GUARDS.items():
        op.execute(
            f"""CREATE TRIGGER insert_only BEFORE UPDATE OR DELETE ON "{schema}".{table}
            FOR EACH ROW EXECUTE FUNCTION "{schema}".{guard}()"""
        )


def _secret(schema: str) -> None:
    """Idempotency keys derive from a secret; an engine that is given none takes this one."""
    op.execute(
        f"""INSERT INTO "{schema}".setting (name, value)
        VALUES ('secret', gen_random_uuid()::text || gen_random_uuid()::text)"""
    )

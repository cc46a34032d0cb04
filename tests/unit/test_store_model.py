"""The model of the store beyond what Postgres can be asked to do on purpose: texts, failovers, lost clients, hooks."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import CheckConstraint

from saga.store import sagas
from saga.store import statements as sql
from saga.store.schema import metadata
from saga.store.sql import Statement
from saga.testing.store import EPOCH, Database, Fate, UnknownStatement, registry
from saga.testing.store.messages import Block
from saga.testing.store.tables import CHECKS
from tests.support.stores import NAME, a_saga, a_worker, running, saga_id, worker_id
from tests.support.worlds import ByHand, World

ME = {"me": worker_id(0), "lane": 0}
CLAIM = (sql.CLAIM, {**ME, "room": 9, "names": [NAME], "versions": [1]})
TEXTS_OF_CHECKS = "81aa1d2f"


@pytest.fixture
def world() -> World:
    made = World()
    made.put("worker", a_worker(0))
    made.put("saga", running(1))
    made.put("saga", a_saga(2))
    return made


def wake(n: int) -> tuple[Statement, dict[str, Any]]:
    return sagas.WAKE, {"id": saga_id(n)}


def test_each_model_was_written_for_the_statements_text() -> None:
    """A statement that changes makes somebody look at its model, and write the new digest beside it."""
    Database(ByHand())
    changed = [
        f"the statement {model.statement.name} has changed: look at its model {model.run.__name__} in "
        f"{model.run.__module__}, then write {registry.digest_of(model.statement)!r} beside it"
        for model in registry.written()
        if registry.digest_of(model.statement) != model.digest
    ]
    assert changed == []


def test_each_check_of_the_schema_is_modelled() -> None:
    """By its name, and by the digest of all their texts."""
    found = {
        table.name: {str(c.name): str(c.sqltext) for c in table.constraints if isinstance(c, CheckConstraint)}
        for table in metadata().sorted_tables
    }
    assert {name: set(checks) for name, checks in found.items()} == {n: set(c) for n, c in CHECKS.items()}
    texts = sorted(text for checks in found.values() for text in checks.values())
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:8]
    assert digest == TEXTS_OF_CHECKS, (
        "a CHECK has changed: look at saga.testing.store.tables, then change the digest"
    )


def test_an_unknown_statement_is_named(world: World) -> None:
    """By its name where it is production's, else by its first words."""
    from saga.store import stuck

    with pytest.raises(UnknownStatement, match="stuck_waiting"):
        world.database.model_of(stuck.WAITING.on("saga"))
    with pytest.raises(UnknownStatement, match="SELECT 1"):
        world.database.model_of(b"SELECT 1")


def test_the_clock_is_the_worlds_and_may_jump(world: World) -> None:
    """now() is the transaction's begin, also when time passes in it."""
    session = world.session()
    world.send(session, "BEGIN")
    world.time.pass_by(5.0)
    world.database.offset = -3600.0
    world.send(session, wake(2), "COMMIT")
    world.send(session, wake(1))
    two, one = world.saga(2), world.saga(1)
    assert two is not None
    assert one is not None
    assert two["updated_at"] == EPOCH
    assert one["updated_at"] == EPOCH + timedelta(seconds=5.0 - 3600.0)


def test_behind_an_error_a_pipeline_is_skipped_and_nothing_is_left(world: World) -> None:
    """Up to the sync; then the block waits for its end, which answers ROLLBACK."""
    session = world.session()
    fence = (sql.FENCE, {**ME, "batch": 0})
    assert world.send(session, "BEGIN", wake(1), fence, wake(2), "COMMIT") == [
        "BEGIN",
        "UPDATE 1",
        "22012",
        None,
        None,
    ]
    assert session.block is Block.FAILED
    assert world.send(session, "COMMIT") == ["ROLLBACK"]
    saga = world.saga(1)
    assert saga is not None
    assert saga["inbox"] == 0


def test_a_pipeline_without_a_begin_is_one_transaction(world: World) -> None:
    """As Postgres does it: an error takes back what came before it up to the last sync."""
    session = world.session()
    fence = (sql.FENCE, {**ME, "batch": 0})
    assert world.send(session, wake(1), fence) == ["UPDATE 1", "22012"]
    saga = world.saga(1)
    assert saga is not None
    assert saga["inbox"] == 0


def test_a_silent_rollback_answers_rollback(world: World) -> None:
    """S6: COMMIT without an error, and nothing is written."""
    session = world.session()
    world.database.fate = lambda _: Fate.ROLLED_BACK
    assert world.send(session, "BEGIN", wake(1), "COMMIT") == ["BEGIN", "UPDATE 1", "ROLLBACK"]
    saga = world.saga(1)
    assert saga is not None
    assert saga["inbox"] == 0

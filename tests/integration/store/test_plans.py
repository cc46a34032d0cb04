"""Hot statements read what is due and nothing else, whatever the planner knows: after a crash it knows nothing."""

from __future__ import annotations

import psycopg
import pytest

from saga.store import leases, watches
from saga.store import statements as sql
from saga.store.sql import Statement

ENDED = 20_000
FILL = (
    "INSERT INTO saga.saga (id, name, version, key, status, input, input_hash, finished_at, wake_at)"
    " SELECT gen_random_uuid(), 'order', 1, n::text, 'completed', '1', '', now(), now() FROM generate_series(1, %s) n"
)
SLEEPERS = 100_000
SLEEP = (
    "INSERT INTO saga.saga (id, name, version, key, status, input, input_hash, wake_at)"
    " SELECT gen_random_uuid(), 'order', 1, n::text, 'asleep', '1', '', now() + interval '3 days'"
    " FROM generate_series(1, %s) n"
)
SERVED = {"names": ["order"], "versions": [1]}
CLAIM = {**SERVED, "room": 20, "me": "00000000-0000-0000-0000-000000000001", "lane": 0}


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [(sql.CLAIM, CLAIM), (watches.TAKE, SERVED), (leases.LOOK, {"reap": True})],
    ids=["claim", "watches", "look"],
)
def test_ended_sagas_are_not_read(
    database_url: str, statement: Statement, parameters: dict[str, object]
) -> None:
    """Twenty thousand ended sagas of the same name, no statistics: a few pages, by the indexes of what is due."""
    with psycopg.connect(database_url) as connection:
        connection.execute(FILL, (ENDED,))
        connection.execute(
            "INSERT INTO saga.watch (saga_id, step, direction, next_at, until)"
            " SELECT id, 'charge#1', 'forward', now(), now() FROM saga.saga LIMIT 10"
        )
        connection.execute(sql.LIMITS.on("saga").encode(), {"ms": "5000"})
        explain = b"EXPLAIN (ANALYZE, BUFFERS) " + statement.on("saga").encode()
        plan = [line for (line,) in connection.execute(explain, parameters).fetchall()]
    assert _pages(plan) < ENDED // 100, "\n".join(plan)


def test_sleepers_are_not_read(database_url: str) -> None:
    """A hundred thousand sagas that sleep for days cost an idle worker a few pages a round, and a claim nothing."""
    looks: list[tuple[Statement, dict[str, object]]] = [
        (sql.CLAIM, CLAIM),
        (leases.DUE, {"limit": 1000}),
        (leases.LOOK, {"reap": True}),
    ]
    with psycopg.connect(database_url) as connection:
        connection.execute(SLEEP, (SLEEPERS,))
        connection.execute(sql.LIMITS.on("saga").encode(), {"ms": "5000"})
        for statement, parameters in looks:
            explain = b"EXPLAIN (ANALYZE, BUFFERS) " + statement.on("saga").encode()
            plan = [line for (line,) in connection.execute(explain, parameters).fetchall()]
            assert _pages(plan) < 100, "\n".join(plan)


def _pages(plan: list[str]) -> int:
    """How many the topmost node has read, which counts all below it."""
    whole = next(line for line in plan if "Buffers:" in line)
    return sum(int(word.partition("=")[2]) for word in whole.split() if "=" in word)

"""What a crash test looks at and holds: rows of the engine, locks in Postgres, and who waits behind them.

Rule: everything here reads, or holds a lock in a transaction of the test's own; nothing of the engine is switched.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.string import TextLoader

from saga import Engine
from saga.core.model import Direction
from saga.definition import SagaDefinition
from saga.dev.processes import wait_until
from saga.store import operators
from saga.store.acts import Act
from saga.store.connections import connect
from saga.store.operators import Said
from saga.store.urls import conninfo
from tests.support.till import Purchase

OWNERSHIP = """
CREATE TABLE ownership (
    saga_id uuid, owner uuid, epoch bigint, began timestamptz DEFAULT clock_timestamp(), ended timestamptz);
CREATE TABLE intent (saga_id uuid, step text, direction text, attempt int, worker uuid, owner uuid, epoch bigint);
CREATE FUNCTION note_owner() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF OLD.owner IS NOT NULL AND (NEW.owner IS DISTINCT FROM OLD.owner OR NEW.epoch <> OLD.epoch) THEN
        UPDATE ownership SET ended = clock_timestamp()
        WHERE saga_id = OLD.id AND epoch = OLD.epoch AND ended IS NULL;
    END IF;
    IF NEW.owner IS NOT NULL AND (NEW.owner IS DISTINCT FROM OLD.owner OR NEW.epoch <> OLD.epoch) THEN
        INSERT INTO ownership VALUES (NEW.id, NEW.owner, NEW.epoch);
    END IF;
    RETURN NULL; END $$;
CREATE FUNCTION note_intent() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO intent SELECT NEW.saga_id, NEW.step, NEW.direction, NEW.attempt, NEW.worker, s.owner, s.epoch
    FROM saga.saga s WHERE s.id = NEW.saga_id AND NEW.status = 'sent';
    RETURN NULL; END $$;
CREATE TRIGGER note_owner AFTER UPDATE ON saga.saga FOR EACH ROW EXECUTE FUNCTION note_owner();
CREATE TRIGGER note_intent AFTER INSERT OR UPDATE ON saga.effect FOR EACH ROW EXECUTE FUNCTION note_intent();
"""


class Stage:
    """The database of one test, as the test sees it."""

    def __init__(self, url: str, engine: Engine) -> None:
        self.url = url
        self.engine = engine
        self._connection: psycopg.Connection[dict[str, Any]] | None = None

    def close(self) -> None:
        """Give the connection back."""
        self.engine.blocking.close()
        if self._connection is not None:
            self._connection.close()

    def start(self, saga: SagaDefinition[Purchase, Any], order: str, **wanted: str) -> None:
        """Start a saga for an order, under the order's name."""
        self.engine.blocking.start(saga, Purchase(order, **wanted), key=order)

    def rows(self, statement: str, *values: object) -> list[dict[str, Any]]:
        """What a statement gives."""
        if self._connection is None or self._connection.closed or self._connection.broken:
            self._connection = psycopg.connect(conninfo(self.url), autocommit=True, row_factory=dict_row)
            self._connection.adapters.register_loader("json", TextLoader)
        cursor = self._connection.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []

    def watch_ownership(self) -> None:
        """Note from now on who owns which saga from when to when, and under whose claim each intent was made."""
        self.rows(OWNERSHIP)

    def saga(self, key: str) -> dict[str, Any]:
        """A saga's row."""
        (row,) = self.rows("SELECT * FROM saga.saga WHERE key = %s", key)
        return row

    def effects(self, key: str) -> dict[tuple[str, str], dict[str, Any]]:
        """Its effects, by step and direction."""
        found = self.rows(
            "SELECT e.*, e.xmin::text FROM saga.effect e JOIN saga.saga s ON s.id = e.saga_id WHERE s.key = %s",
            key,
        )
        return {(row["step"], row["direction"]): row for row in found}

    def evidence(self, key: str) -> list[dict[str, Any]]:
        """Its evidence, oldest first; bodies decoded."""
        found = self.rows(
            "SELECT v.* FROM saga.evidence v JOIN saga.saga s ON s.id = v.saga_id WHERE s.key = %s ORDER BY v.at, v.id",
            key,
        )
        return [{**row, "body": json.loads(row["body"])} for row in found]

    def wait_for(self, key: str, *statuses: str, within: float = 20.0) -> dict[str, Any]:
        """The saga's row, once its status is one of these."""
        try:
            wait_until(lambda: self.saga(key)["status"] in statuses, within, f"{key} {' or '.join(statuses)}")
        except Exception as error:
            shown = [self.saga(key), *self.effects(key).values(), *self.evidence(key)]
            error.add_note("\n".join(str(row) for row in shown))
            raise
        return self.saga(key)

    def wait_settled(self, key: str, count: int) -> None:
        """Returns when so many forward effects of the saga are settled."""
        settled = {"succeeded", "refused", "not_executed"}

        def enough() -> bool:
            return sum(e["status"] in settled for e in self.effects(key).values()) >= count

        wait_until(enough, 15, f"{count} settled effects of {key}")

    def workers(self, pid: int) -> set[Any]:
        """The ids under which a process is registered now."""
        return {row["id"] for row in self.rows("SELECT id FROM saga.worker WHERE pid = %s", pid)}

    def wait_registered(self, pid: int, *, besides: frozenset[Any] = frozenset()) -> Any:
        """The id under which the process is registered, not counting those it had before."""
        wait_until(lambda: bool(self.workers(pid) - besides), 20, f"worker {pid} is registered")
        return next(iter(self.workers(pid) - besides))

    def wait_draining(self, pid: int) -> None:
        """Returns when the process has told the database that it drains."""
        told = "SELECT 1 FROM saga.worker WHERE pid = %s AND state = 'draining'"
        wait_until(lambda: bool(self.rows(told, pid)), 15, f"worker {pid} drains")

    def waiting(self, *fragments: str) -> list[int]:
        """Backends of the engine that wait for a lock in a statement that begins like this."""
        found = self.rows(
            "SELECT pid, query FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'saga'"
            " AND datname = current_database()"
        )
        return [row["pid"] for row in found if all(f in row["query"] for f in fragments)]

    def wait_waiting(self, *fragments: str, within: float = 15.0) -> int:
        """The backend that waits there, once one does."""
        wait_until(lambda: bool(self.waiting(*fragments)), within, f"a backend waits in {fragments}")
        return (self.waiting(*fragments) or [0])[0]

    def wait_backend_gone(self, pid: int) -> None:
        """Returns when the backend has ended: whatever it was in the middle of is decided."""
        gone = "SELECT 1 FROM pg_stat_activity WHERE pid = %s"
        wait_until(lambda: not self.rows(gone, pid), 15, f"the end of backend {pid}")

    @contextlib.contextmanager
    def held(self, statement: str, *values: object) -> Generator[None]:
        """Run a statement in a transaction that stays open: its locks are held to the end of the block."""
        with psycopg.connect(conninfo(self.url)) as holder:
            holder.execute(statement.encode(), values)
            yield
            holder.rollback()

    def state_both_ways(self, key: str, step: str, result: str) -> Callable[[], list[BaseException | None]]:
        """Two operators who saw the same state opposite things at once; returns when both wait for the row."""
        saw = self.saga(key)
        pool = ThreadPoolExecutor(2)

        def say(who: str, said: str | None) -> None:
            act = Act(saw["id"], saw["revision"], who, "seen in the bank's list")
            asyncio.run(_state(self.url, act, Said(step, Direction.FORWARD, said, insists=True)))

        both = [pool.submit(say, "ann", result), pool.submit(say, "bob", None)]
        wait_until(lambda: len(self.waiting("saga")) >= len(both), 10, "two operators who wait")

        def outcomes() -> list[BaseException | None]:
            return [one.exception(10) for one in both]

        return outcomes

    def assert_ownership_is_sound(self) -> None:
        """Intervals of one saga never overlap, epochs rise by one, and each intent was made by its owner."""
        overlaps = self.rows(
            "SELECT a.*, b.* FROM ownership a JOIN ownership b ON a.saga_id = b.saga_id AND a.epoch < b.epoch"
            " AND (a.ended IS NULL OR a.ended > b.began)"
        )
        assert overlaps == []
        gaps = self.rows(
            "SELECT saga_id, count(*), max(epoch) FROM ownership GROUP BY 1 HAVING count(*) <> max(epoch)"
        )
        assert gaps == []
        strangers = self.rows("SELECT * FROM intent WHERE owner IS DISTINCT FROM worker")
        assert strangers == []


async def _state(url: str, act: Act, said: Said) -> None:
    connection = await connect(conninfo(url))
    async with connection:
        await operators.resolve(connection, "saga", act, said)

"""The simulated database: the model of the store, what befalls it, and what its rows claim.

Rules that hold here: rows are read outside of every transaction and only for what they claim; nothing here writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from saga.core.model import Direction, EffectStatus, SagaStatus
from saga.engine import Engine
from saga.store.audit import Entry, broken_at
from saga.testing.invariants.record import EffectClaim, MomentClaim, SagaClaim
from saga.testing.simulation.ledger import Named
from saga.testing.simulation.machine import Process
from saga.testing.simulation.wire import (
    AT_REST,
    FAILOVER,
    JUMP,
    JUMP_S,
    NOTICED_S,
    Around,
    MachineTimers,
    ProcessWire,
)
from saga.testing.store.connection import Connection
from saga.testing.store.database import Database, Fate


class SimulatedDatabase:
    """The model of the store, with the connections of all processes."""

    def __init__(self, around: Around) -> None:
        self._around = around
        self._timers = MachineTimers(around.machine)
        self._fates: dict[int, Fate] = {}
        self._connections: dict[Process, list[Connection]] = {}
        self._keys: dict[str, str] = {}
        self.model = Database(self._timers)
        self.model.fate = lambda session: self._fates.pop(session.pid, Fate.VERIFIED)

    async def connect(self, process: Process) -> Connection:
        """A connection of this process.

        Raises:
            psycopg.OperationalError: the database is down.
        """
        wire = ProcessWire(self._around, process, self._fates, self.happen)
        wire.connection = self.model.connect(wire)
        self._connections.setdefault(process, []).append(wire.connection)
        return wire.connection

    def vanished(self, process: Process) -> None:
        """A process was killed: the server notices behind what it had sent."""
        for connection in self._connections.pop(process, []):
            self._around.machine.later(NOTICED_S, connection.session.vanish)

    def happen(self, what: str) -> None:
        """Something that befalls the database."""
        machine, chance = self._around.machine, self._around.chance
        if what == JUMP:
            self.model.offset += JUMP_S * chance.share("jump")
            return
        if what == FAILOVER:
            self.model.failover(lambda lost: int(chance.share("survive") * (lost + 1)))
        else:
            self.model.crash()
        self.model.up = False

        def up() -> None:
            self.model.up = True

        machine.later(0.3, up)

    # What the simulation asks about the rows, outside every transaction.

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        """The committed rows of a table."""
        for row in getattr(self.model.tables, table).rows.values():
            if row.committed is not None:
                yield row.committed

    def key_of(self, saga_id: str) -> str:
        """The business key of a saga."""
        keys = self._keys
        if saga_id not in keys:
            keys.update((str(row["id"]), row["key"]) for row in self.rows("saga"))
        return keys[saga_id]

    def intended(self, named: Named, attempt: int) -> bool:
        """Whether the intent of this attempt is committed."""
        effects = self.model.tables.effect
        found = (row.committed for row in effects.by_key.get(named.key, ()))
        return any(row is not None and row["attempt"] >= attempt for row in found)

    def at_rest(self) -> bool:
        """Whether no saga moves any more."""
        return all(row["status"] in AT_REST for row in self.rows("saga"))

    def unrest(self) -> list[str]:
        """What still moves, for people."""
        return [f"{r['key']} is {r['status']}" for r in self.rows("saga") if r["status"] not in AT_REST]

    def watches(self) -> bool:
        """Whether a late watch is open."""
        return any(True for _ in self.rows("watch"))

    def claims(self, engine: Engine) -> list[SagaClaim]:
        """What the rows say of every saga."""
        effects: dict[Any, list[EffectClaim]] = {}
        written = {row["id"]: row["updated_at"] for row in self.rows("saga")}
        for row in self.rows("effect"):
            since = row["doubt_since"]
            doubted = None if since is None else (written[row["saga_id"]] - since).total_seconds()
            effects.setdefault(row["saga_id"], []).append(
                EffectClaim(
                    row["step"], _step_name(row["step"]), Direction(row["direction"]), EffectStatus(row["status"]),
                    row["attempt"], row["probes"], row["by_statement"], row["position"], doubted, row["intent_at"],
                )
            )  # fmt: skip
        moments: dict[Any, list[MomentClaim]] = {}
        for row in self.rows("moment"):
            moments.setdefault(row["saga_id"], []).append(
                MomentClaim(row["step"], row["kind"], row["signal"], row["due_at"], row["ended_at"])
            )
        return [
            SagaClaim(
                row["key"], engine.definition(row["name"], row["version"]), SagaStatus(row["status"]),
                Direction(row["direction"]), row["park_cause"], row["alarm"], tuple(effects.get(row["id"], [])),
                tuple(moments.get(row["id"], [])),
            )
            for row in self.rows("saga")
        ]  # fmt: skip

    def chain_faults(self) -> list[str]:
        """What is wrong with the chain of the audit."""
        names = ("number", "at", "who", "act", "saga_id", "because", "detail", "previous", "digest")
        entries = [Entry(*(row[name] for name in names)) for row in self.rows("audit")]
        broken = broken_at(sorted(entries, key=lambda e: e.number))
        found = [] if broken is None else [f"the audit is broken at number {broken}"]
        seen: set[tuple[object, int]] = set()
        for entry in entries:
            act = (entry.saga_id, entry.body["revision"])
            if act in seen:
                found.append(f"two operators have acted on one revision: number {entry.number}")
            seen.add(act)
        return found

    def texts(self) -> Iterator[str]:
        """Everything that is stored, as text."""
        for table in (
            "saga",
            "effect",
            "evidence",
            "moment",
            "signal",
            "watch",
            "worker",
            "request",
            "audit",
        ):
            for row in self.rows(table):
                yield json.dumps(row, default=str)


def _step_name(identity: str) -> str:
    return identity.rpartition("/")[2].partition("#")[0]

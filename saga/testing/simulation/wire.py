"""Between the processes and the database: replies that get lost around COMMIT, connections that end, crashes.

Rules that hold here: what has reached the server runs to its end, whatever becomes of the client; a client that was
killed is noticed by the server only behind what it had sent; each request is one point at which one fault may happen.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from saga.core.model import Direction, EffectStatus, SagaStatus
from saga.engine import Engine
from saga.store.audit import Entry, broken_at
from saga.testing.invariants.record import EffectClaim, SagaClaim
from saga.testing.simulation.chance import Chance
from saga.testing.simulation.ledger import Named
from saga.testing.simulation.machine import Machine, Process
from saga.testing.store.connection import Connection
from saga.testing.store.database import Database, Fate
from saga.testing.store.messages import Reply, Request
from saga.testing.store.session import Session
from saga.testing.store.timers import Cancel
from saga.testing.store.wire import Unasked

BATCH_LOST, BATCH_KILLED_BEFORE, BATCH_KILLED, BATCH_UNANSWERED, BATCH_SPLIT = (
    "the request to the database is lost",
    "the worker is killed before it asks the database",
    "the worker is killed when it has asked the database",
    "the database's reply is lost",
    "the worker is frozen in the middle of its request",
)
SERIALIZATION, SHUT_OUT = "the database reports a serialization failure", "the database ends the session"
ROLLED_BACK, UNCONFIRMED = "COMMIT is rolled back without an error", "the replica does not confirm a COMMIT"
BATCH_FAULTS = (
    BATCH_LOST, BATCH_KILLED_BEFORE, BATCH_KILLED, BATCH_UNANSWERED, BATCH_SPLIT, SERIALIZATION, SHUT_OUT,
    ROLLED_BACK, UNCONFIRMED,
)  # fmt: skip
CRASH, FAILOVER, JUMP = (
    "the database crashes",
    "the replica takes over",
    "the database's clock jumps ahead",
)
KILL, FREEZE, STOP = (
    "a worker is killed",
    "a worker is frozen beyond its lease",
    "a worker is told to stop",
)
MOMENTS = (KILL, KILL, FREEZE, STOP, CRASH, FAILOVER, JUMP)
TRANSIT_S = 0.002
NOTICED_S = 0.02
"""How long the server takes to notice that a client is gone: longer than what it had sent is on its way."""
JUMP_S = 3.0
AT_REST = (SagaStatus.COMPLETED, SagaStatus.COMPENSATED, SagaStatus.PARKED, SagaStatus.ABANDONED)
_QUIET = frozenset({"begin", "limits", "fence", "beat", "commit", "claim"})


class MachineTimers:
    """The machine's time, for the database."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def now(self) -> float:
        """Virtual seconds."""
        return self._machine.now

    def later(self, seconds: float, callback: Callable[[], None]) -> Cancel:
        """Outside every process."""
        return self._machine.later(seconds, callback)


@dataclass(frozen=True, slots=True)
class Around:
    """What the wire needs to know of the simulation around it.

    points: the statements that make a request a point at which something can happen; None: every one does.
    """

    machine: Machine
    chance: Chance
    kill: Callable[[Process], None]
    faults: tuple[str, ...]
    lease: float
    points: frozenset[str] | None = None


class ProcessWire:
    """The connection of one process."""

    def __init__(self, around: Around, process: Process, fates: dict[int, Fate]) -> None:
        self._around = around
        self._process = process
        self._fates = fates
        self._last = 0.0
        self.connection: Connection | None = None

    def send(self, session: Session, request: Request, deliver: Callable[[Reply], None]) -> None:
        """Bring the request there and the reply back, if nothing happens."""
        around, process = self._around, self._process
        what = _named(request)
        fault = self._fault(what, request)
        if fault == BATCH_KILLED_BEFORE:
            around.kill(process)
            return
        if fault == BATCH_LOST:
            self._break(session)
            return
        self._prepare(session, fault)

        def answer(reply: Reply) -> None:
            if fault == BATCH_UNANSWERED:
                self._break(session)
            elif fault != BATCH_KILLED:
                self._after(f"reply {what}", lambda: process.inside(deliver, reply))

        if fault == BATCH_SPLIT and len(request.commands) > 1:
            self._send_in_two(session, request, what, answer)
            return
        self._after(f"ask {what}", lambda: session.run(request, answer))
        if fault == BATCH_KILLED:
            around.kill(process)

    def cancel(self, session: Session) -> None:
        """Ask the server to stop."""
        self._after("cancel", session.cancel)

    def close(self, session: Session) -> None:
        """Say goodbye."""
        self._after("goodbye", session.vanish)

    def push(self, said: Unasked, deliver: Callable[[Unasked], None]) -> None:
        """What the server says unasked."""
        self._after("news", lambda: self._process.inside(deliver, said))

    def _fault(self, what: str, request: Request) -> str | None:
        around = self._around
        if not around.faults or not (what and self._process.name.startswith("worker")):
            return None
        if around.points is not None and not any(c.model.name in around.points for c in request.commands):
            return None
        return around.chance.fault(f"database {what}", around.faults, around.machine.now)

    def _prepare(self, session: Session, fault: str | None) -> None:
        if fault == SERIALIZATION:
            session.fail_next("40001", on="commit")
        elif fault == SHUT_OUT:
            session.fail_next("57P01")
        elif fault == ROLLED_BACK:
            self._fates[session.pid] = Fate.ROLLED_BACK
        elif fault == UNCONFIRMED:
            self._fates[session.pid] = Fate.UNCONFIRMED

    def _send_in_two(
        self, session: Session, request: Request, what: str, answer: Callable[[Reply], None]
    ) -> None:
        around, process = self._around, self._process
        half = int(around.chance.share(f"half {what}") * (len(request.commands) - 1)) + 1
        first, rest = request.split(half)
        self._after(f"ask {what}", lambda: session.run(first, answer))
        process.freeze()

        def go_on() -> None:
            process.thaw()
            session.run(rest, answer)

        around.machine.later(around.lease * 1.6, go_on)

    def _break(self, session: Session) -> None:
        """The connection is gone; each side notices by itself."""
        connection, machine = self.connection, self._around.machine
        assert connection is not None, "it was opened"
        machine.later(NOTICED_S, session.vanish)
        machine.later(NOTICED_S, lambda: self._process.inside(connection.lose))

    def _after(self, what: str, act: Callable[[], object]) -> None:
        """Soon, and behind everything that this wire carries already: a connection keeps its order."""
        machine = self._around.machine
        when = max(machine.now + TRANSIT_S * self._around.chance.share(what), self._last)
        self._last = when + 1e-9
        machine.later(when - machine.now, act)


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
        wire = ProcessWire(self._around, process, self._fates)
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
                    row["attempt"], row["probes"], row["by_statement"], row["position"], doubted,
                )
            )  # fmt: skip
        return [
            SagaClaim(
                row["key"], engine.definition(row["name"], row["version"]), SagaStatus(row["status"]),
                Direction(row["direction"]), row["park_cause"], row["alarm"], tuple(effects.get(row["id"], [])),
            )
            for row in self.rows("saga")
        ]  # fmt: skip

    def chain_faults(self) -> list[str]:
        """What is wrong with the chain of the audit."""
        names = ("number", "at", "who", "act", "saga_id", "because", "detail", "previous", "digest")
        entries = [Entry(*(row[name] for name in names)) for row in self.rows("audit")]
        broken = broken_at(sorted(entries, key=lambda e: e.number))
        return [] if broken is None else [f"the audit is broken at number {broken}"]

    def texts(self) -> Iterator[str]:
        """Everything that is stored, as text."""
        for table in ("saga", "effect", "evidence", "watch", "worker", "request", "audit"):
            for row in self.rows(table):
                yield json.dumps(row, default=str)


def _step_name(identity: str) -> str:
    return identity.rpartition("/")[2].partition("#")[0]


def _named(request: Request) -> str:
    """What a request is for, without the frame that every batch has; nothing for a mere beat."""
    names = [command.model.name for command in request.commands]
    return ", ".join(name for name in names if name.lower() not in _QUIET)

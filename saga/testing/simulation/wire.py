"""Between the processes and the database: replies that get lost around COMMIT, connections that end, crashes.

Rules that hold here: what has reached the server runs to its end, whatever becomes of the client; a client that was
killed is noticed by the server only behind what it had sent; each request is one point at which one fault may happen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from saga.core.model import SagaStatus
from saga.testing.simulation.chance import Chance
from saga.testing.simulation.machine import Machine, Process
from saga.testing.store.connection import Connection
from saga.testing.store.database import Fate
from saga.testing.store.messages import Reply, Request
from saga.testing.store.session import Session
from saga.testing.store.timers import Cancel
from saga.testing.store.wire import Unasked

BATCH_LOST, BATCH_KILLED_BEFORE, BATCH_KILLED, BATCH_UNANSWERED, BATCH_SPLIT, BATCH_SLEPT_ON = (
    "the request to the database is lost",
    "the worker is killed before it asks the database",
    "the worker is killed when it has asked the database",
    "the database's reply is lost",
    "the worker is frozen in the middle of its request",
    "the worker is frozen when it has asked the database",
)
SERIALIZATION, SHUT_OUT = "the database reports a serialization failure", "the database ends the session"
ROLLED_BACK, UNCONFIRMED, OVERTAKEN = (
    "a COMMIT is rolled back without an error",
    "the replica does not confirm a COMMIT",
    "the replica does not confirm a COMMIT, and takes over",
)
BATCH_FAULTS = (
    BATCH_LOST, BATCH_KILLED_BEFORE, BATCH_KILLED, BATCH_UNANSWERED, BATCH_SPLIT, SERIALIZATION, SHUT_OUT,
    ROLLED_BACK, UNCONFIRMED, OVERTAKEN, BATCH_SLEPT_ON,
)  # fmt: skip
CUSTOMER_FAULTS = (BATCH_LOST, BATCH_UNANSWERED, SERIALIZATION, SHUT_OUT, ROLLED_BACK)
"""What can happen to a request of somebody who starts sagas and looks at them; UNCONFIRMED is a worker's to heed."""
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

    def __init__(
        self, around: Around, process: Process, fates: dict[int, Fate], happen: Callable[[str], None]
    ) -> None:
        self._around = around
        self._happen = happen
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
            if fault == OVERTAKEN:  # soon, but not before the client may have acted on the reply
                self._after("take over", lambda: self._happen(FAILOVER))

        if fault == BATCH_SPLIT and len(request.commands) > 1:
            self._send_in_two(session, request, what, answer)
            return
        self._after(f"ask {what}", lambda: session.run(request, answer))
        if fault == BATCH_KILLED:
            around.kill(process)
        if fault == BATCH_SLEPT_ON:
            around.machine.later(0.0, process.freeze)
            around.machine.later(around.lease * 1.6, process.thaw)

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
        if not around.faults or not what:
            return None
        if around.points is not None and not any(c.model.name in around.points for c in request.commands):
            return None
        if self._process.name.startswith("worker"):
            return around.chance.fault(f"database {what}", around.faults, around.machine.now)
        known = tuple(fault for fault in around.faults if fault in CUSTOMER_FAULTS)
        return (
            around.chance.fault(f"database of a customer: {what}", known, around.machine.now)
            if known
            else None
        )

    def _prepare(self, session: Session, fault: str | None) -> None:
        if fault == SERIALIZATION:
            session.fail_next("40001", on="commit")
        elif fault == SHUT_OUT:
            session.fail_next("57P01")
        elif fault == ROLLED_BACK:
            self._fates[session.pid] = Fate.ROLLED_BACK
        elif fault in {UNCONFIRMED, OVERTAKEN}:
            self._fates[session.pid] = Fate.UNCONFIRMED

    def _send_in_two(
        self, session: Session, request: Request, what: str, answer: Callable[[Reply], None]
    ) -> None:
        around, process = self._around, self._process
        half = int(around.chance.share(f"half {what}") * (len(request.commands) - 1)) + 1
        first, rest = request.split(half)
        self._after(f"ask {what}", lambda: session.run(first, answer))
        # At the end of this turn: nothing freezes it between its last check and a send but what `lateness` covers (S11).
        around.machine.later(0.0, process.freeze)

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


def _named(request: Request) -> str:
    """What a request is for, without the frame that every batch has; nothing for a mere beat."""
    names = [command.model.name for command in request.commands]
    return ", ".join(name for name in names if name.lower() not in _QUIET)

"""How services stand, as one worker knows it: whom it may call, whom it must ask for leave, and what it has counted.

Rules that hold here: a call to a closed service costs nothing but a look into a dict, and its answer no write; what a
worker knows is read once a round of its chores, so that it may go on calling for so long a service that another has opened,
and never for longer than it works at all; leave to call a service that is not closed is asked of the database, whose row
counts for all workers; a failure that comes back while the service is not closed is excused: it counts against no budget.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING

from saga.core import breaker
from saga.core.breaker import Circuit, State, Window
from saga.core.evidence import NoAnswer, ProbeAnswer
from saga.core.model import Hint, NotExecuted, Outcome, Unknown
from saga.logs import log
from saga.service import Service
from saga.store import services
from saga.store.connections import Connection
from saga.store.services import ServiceRow
from saga_worker.effects import CLOSED, Stands

if TYPE_CHECKING:
    from saga_worker.worker import Worker

SOON = timedelta(milliseconds=100)
HELD_LOOK = timedelta(seconds=60)
"""What an operator holds is looked at so often by those in memory, besides being told of every change."""
OURS = frozenset({"budget", "lease", "unwanted"})
"""Rules by which we have not called at all: they say nothing of the service."""
_HEARD = frozenset({Hint.MISMATCH, Hint.IN_PROGRESS})
Step = Callable[[Circuit, datetime], Circuit]


class _Says(Enum):
    NOTHING = auto()
    THERE = auto()
    AWAY = auto()


@dataclass(slots=True, eq=False)
class Leave:
    """Leave to make one call. turn: in which it was given; None: the service is closed, and nobody counts."""

    name: str
    turn: int | None = None


class Services:
    """What one worker knows. Services of which nothing was ever written are closed."""

    def __init__(self, worker: Worker) -> None:
        """Every service is closed until the table says otherwise."""
        self._worker = worker
        self._rows: dict[str, ServiceRow] = {}
        self._shut: dict[str, Circuit] = {}
        self._windows: dict[str, Window] = {}
        self._writing: Counter[str] = Counter()
        self._asking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def lets_all_in(self, name: str) -> bool:
        """Whether it is called without asking."""
        return name not in self._shut

    def stands(self, name: str) -> Stands:
        """What is known of it, as the rules of an effect ask."""
        row = self._rows.get(name)
        if row is None:
            return CLOSED
        since = row.circuit.since if row.circuit.state is State.CLOSED else None
        return Stands(name in self._shut, since)

    def look_at(self, name: str) -> datetime:
        """When whoever waits for it in memory looks again, if nothing changes before."""
        now, circuit = self._worker.clocks.now(), self._shut.get(name)
        if circuit is None:
            return now
        if circuit.turn != self._circuit(name).turn:
            return (
                now + SOON
            )  # the table does not know yet, and nobody may sleep until something that is not written
        if circuit.held:
            return now + HELD_LOOK
        return max(circuit.next_at or now, now + SOON)

    # Calls.

    async def leave(self, name: str) -> Leave | None:
        """Leave to call it once, or None: it is open, held, or as many as may are at it."""
        async with self._asking[name]:
            circuit = self._shut.get(name)
            if circuit is None:
                return Leave(name)
            if not circuit.asks(self._worker.clocks.now()):
                return None
            given = False

            def ask(now_is: Circuit, now: datetime) -> Circuit:
                nonlocal given
                after, given = breaker.let_in(now_is, now)
                return after

            row = await self._change(name, ask)
        if not given:
            return None
        return Leave(name, row.circuit.turn if row.circuit.state is State.HALF_OPEN else None)

    def saw(self, service: Service, outcome: Outcome, leave: Leave) -> bool:
        """What came of a call; whether that is excused."""
        match _says(outcome):
            case _Says.NOTHING:
                return False  # its leave is given back
            case _Says.THERE:
                self._windows.pop(service.name, None)
                self._report(leave, breaker.came_back)
                return False
            case _Says.AWAY:
                return self._failed(service, getattr(outcome, "reason", ""), leave)

    def heard(self, answer: ProbeAnswer, leave: Leave) -> None:
        """What came of a question. It counts only where it was a canary."""
        if isinstance(answer, NoAnswer):
            self._report(leave, _again(answer.reason))
        else:
            self._report(leave, breaker.came_back)

    def give_back(self, leave: Leave) -> None:
        """The call was not made, or not by us any more; once reported there is nothing to give back."""
        self._report(leave, lambda circuit, _, turn: breaker.gave_back(circuit, turn))

    def _failed(self, service: Service, reason: str, leave: Leave) -> bool:
        name, rules = service.name, service.breaker
        if leave.turn is not None:
            self._report(leave, _again(reason))
            return True
        if rules is None or name in self._shut:
            return name in self._shut
        boot = self._worker.clocks.boot()
        window = self._windows[name] = self._windows.get(name, Window()).failure(boot, rules)
        if not window.full(rules):
            return False
        said = f"{rules.failures} failures in a row: {reason}"[:300]
        known, turn = self._circuit(name), self._circuit(name).turn

        def open_it(circuit: Circuit, now: datetime) -> Circuit:
            return breaker.opened(circuit, now, said, rules.cool_down, turn)

        log.warning("service_opened", service=name, reason=said)
        self._shut[name] = open_it(known, self._worker.clocks.now())  # at once; the table follows
        self._worker.in_background(self._change(name, open_it))
        return True

    def _report(self, leave: Leave, step: Callable[[Circuit, datetime, int], Circuit]) -> None:
        turn, leave.turn = leave.turn, None
        if turn is not None:
            self._worker.in_background(self._change(leave.name, lambda c, now: step(c, now, turn)))

    def _circuit(self, name: str) -> Circuit:
        return self._rows[name].circuit if name in self._rows else Circuit()

    # The table.

    async def _change(self, name: str, step: Step) -> ServiceRow:
        self._writing[name] += 1
        try:
            row = await self._worker.change_service(name, services.moved(step))
        finally:
            self._writing[name] -= 1
        self._adopt(row)
        return row

    async def round(self, connection: Connection) -> None:
        """Read how they stand, and begin what is due. A chore."""
        schema = self._worker.schema
        for row in await services.every(connection, schema):
            if self._writing[row.name] == 0:
                self._adopt(row)
            if _looked(row) != row:
                self._adopt(await services.change(connection, schema, row.name, _looked))
            elif row.waiting and row.circuit.places:
                # They went to sleep by what their worker knew a moment ago, and the wave has let in less than it may.
                await services.release(connection, schema, row.name, row.circuit.places)

    def _adopt(self, row: ServiceRow) -> None:
        name, circuit, known = row.name, row.circuit, self._circuit(row.name)
        was_shut = name in self._shut
        self._rows[name] = row
        if circuit.lets_all_in:
            self._shut.pop(name, None)
        else:
            self._shut[name] = circuit
        if circuit.turn == known.turn and was_shut == (name in self._shut):
            return
        self._windows.pop(name, None)
        if circuit.state is not known.state or circuit.held != known.held:
            log.info("service_changed", service=name, state=circuit.state.value, held=circuit.held)
        for run in self._worker.memory:
            run.nudge_all()


def _looked(row: ServiceRow) -> ServiceRow:
    return replace(row, circuit=breaker.looked(row.circuit, row.now, waiting=row.waiting))


def _again(reason: str) -> Callable[[Circuit, datetime, int], Circuit]:
    said = f"a canary failed: {reason}"[:300]
    return lambda circuit, now, turn: breaker.failed(circuit, now, said, turn)


def _says(outcome: Outcome) -> _Says:
    match outcome:
        case NotExecuted(rule=rule) if rule in OURS:
            return _Says.NOTHING
        case Unknown(hint=hint) if hint in _HEARD:
            return _Says.THERE
        case NotExecuted() | Unknown():
            return _Says.AWAY
        case _:
            return _Says.THERE

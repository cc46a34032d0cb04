"""`saga stuck`: what needs a person, and what moves by itself but slowly, one finding a cause.

Rule: a finding says what happens next by itself, and the command that helps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from shlex import quote

from saga.core.breaker import State
from saga.core.model import Direction, ParkCause
from saga.operator.services import stands
from saga.store import services, stuck
from saga.store.connections import Connection
from saga.store.services import ServiceRow
from saga.store.stuck import Alarm, Doubted, Held, Orphaned, Parked, Waiting, WorkerLine

PERSON = "nothing, waits for you"
BECAUSE = '--because "…"'
MOVING = frozenset({"not_served", "overdue", "orphaned", "settling", "let_alone"})
"""Kinds of finding that go away without a person, or with a worker."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Sagas that do not move for one cause. `next_in`: seconds until the engine acts; None: nothing is scheduled."""

    kind: str
    cause: str
    count: int
    oldest: timedelta
    next: str
    next_in: float | None
    command: str
    example: str

    @property
    def needs_person(self) -> bool:
        """Whether nothing moves it but a person."""
        return self.kind not in MOVING


@dataclass(frozen=True, slots=True)
class Stuck:
    """Everything that does not move, those that need a person first; and who works."""

    findings: tuple[Finding, ...]
    workers: tuple[WorkerLine, ...]

    @property
    def needs_person(self) -> int:
        """How many sagas wait for a person."""
        return sum(f.count for f in self.findings if f.needs_person)

    @property
    def moving(self) -> int:
        """How many will move by themselves."""
        return sum(f.count for f in self.findings if not f.needs_person)


async def find_all(connection: Connection, schema: str) -> Stuck:
    """Look for every cause."""
    workers = await stuck.workers(connection, schema)
    served = {one for worker in workers if worker.alive for one in worker.serves}
    found = [
        *(_parked(one) for one in await stuck.parked(connection, schema)),
        *(_alarm(one) for one in await stuck.alarms(connection, schema)),
        *_waiting(await stuck.waiting(connection, schema), served),
        *(_orphaned(one, bool(served)) for one in await stuck.orphans(connection, schema)),
        *(_doubted(one) for one in await stuck.doubted(connection, schema)),
        *_held(await services.every(connection, schema), await stuck.held(connection, schema)),
    ]
    found.sort(key=lambda f: (not f.needs_person, -f.oldest))
    return Stuck(tuple(found), tuple(workers))


def _parked(one: Parked) -> Finding:
    step = (one.step or "").split("#", 1)[0]
    what = f"undo of {step}" if one.direction is Direction.BACKWARD else step
    command = f"saga why {quote(one.example)}"
    word = one.cause.value.replace("_", " ")
    cause = f"{word}: {one.reason}"
    match one.cause:
        case ParkCause.IN_DOUBT | ParkCause.MISMATCH:
            cause = f"{word}: {what} ({one.service}), {one.reason}"
            command = f"saga resolve {quote(one.example)} {step} --landed|--never {BECAUSE}"
        case ParkCause.COMPENSATION_STUCK:
            command = f"saga retry {quote(one.example)} {BECAUSE}"
        case ParkCause.LANDED_LATE:
            command = f"saga compensate {quote(one.example)} {BECAUSE}"
        case ParkCause.CODE_CHANGED | ParkCause.CODE_FAILED | ParkCause.NOT_AWAITED:
            cause = f"{word}: {one.name} v{one.version}, {one.reason}"
            those = f"--name {quote(one.name)} --cause {one.cause}"
            command = f"saga retry {those} {BECAUSE}, once it is fixed"
        case _:
            pass  # what helps depends on the saga, and its sentence says it
    return Finding(one.cause.value, cause, one.count, one.oldest, PERSON, None, command, one.example)


def _alarm(one: Alarm) -> Finding:
    command = f"saga why {quote(one.example)}"
    return Finding("alarm", f"alarm: {one.alarm}", one.count, one.oldest, PERSON, None, command, one.example)


def _waiting(lines: Sequence[Waiting], served: set[str]) -> Iterable[Finding]:
    for one in lines:
        what = f"{one.name} v{one.version}"
        if what not in served:
            others = sorted(s for s in served if s.rsplit(" v", 1)[0] == one.name)
            cause = f"no worker serves {what}" + (f" (workers serve {', '.join(others)})" if others else "")
            command = "saga worker run MODULE:ENGINE" + (f", with {what} in its sagas=[…]" if others else "")
            since = max(one.longest, timedelta(0))
            yield Finding(
                "not_served", cause, one.count, since, "when one starts", None, command, one.example
            )
        elif one.late:
            cause = f"overdue: {what} waits for a worker with room"
            yield Finding(
                "overdue", cause, one.late, one.longest, "when a worker has room", None,
                "saga worker list", one.example,
            )  # fmt: skip


def _held(rows: Sequence[ServiceRow], waiting: Sequence[Held]) -> Iterable[Finding]:
    """Services that are held or not closed, also while nobody waits: an operator's hold is easily forgotten."""
    by_name = {one.service: one for one in waiting}
    for row in rows:
        sagas = by_name.get(row.name, Held(row.name, 0, timedelta(0), ""))
        if row.circuit.lets_all_in and not sagas.count:
            continue
        name = quote(row.name)
        if row.held_by is not None:
            command, kind, then = f"saga service unhold {name} {BECAUSE}", "held", PERSON
        else:
            command, kind, then = "saga service list", "let_alone", "it is let in by waves"
        seconds = None
        if kind == "let_alone" and row.circuit.state is State.OPEN and row.circuit.next_at is not None:
            seconds = max(0.0, (row.circuit.next_at - row.now).total_seconds())
            then = f"a canary goes in {seconds:.0f} s"
        yield Finding(
            kind,
            f"service {row.name} {stands(row)}",
            sagas.count,
            sagas.oldest,
            then,
            seconds,
            command,
            sagas.example,
        )


def _orphaned(one: Orphaned, anybody: bool) -> Finding:  # noqa: FBT001 - read at its one call
    cause = f"its worker is silent: {one.name} v{one.version}"
    then = "when the lease is over" if anybody else "when a worker starts"
    command = "saga worker list" if anybody else "saga worker run MODULE:ENGINE"
    return Finding("orphaned", cause, one.count, one.oldest, then, None, command, one.example)


def _doubted(one: Doubted) -> Finding:
    what = f"undo of {one.step}" if one.direction is Direction.BACKWARD else one.step
    seconds = None if one.next_in is None else max(0.0, one.next_in.total_seconds())
    then = "a worker is at it" if seconds is None else f"looks again in {seconds:.0f} s"
    cause = f"in doubt: {what} ({one.service}), being settled"
    command = f"saga why {quote(one.example)}"
    return Finding("settling", cause, one.count, one.oldest, then, seconds, command, one.example)

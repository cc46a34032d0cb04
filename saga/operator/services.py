"""`operator.services`: how services stand, and what a person may do to one.

Rules that hold here: looking changes nothing; an act is audited with who and why, and refused where it is so already; a
name that no definition at hand has is refused, because whoever mistypes it would hold nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from saga.core.breaker import Circuit, State
from saga.core.durations import show
from saga.errors import NotFoundError
from saga.operator.words import plain
from saga.store import service_acts, services, stuck
from saga.store.service_acts import ServiceAct
from saga.store.services import PREFIX, ServiceRow
from saga.store.stuck import Held

if TYPE_CHECKING:
    from saga.engine import Engine


@dataclass(frozen=True, slots=True)
class ServiceLine:
    """One service. state: "closed", "open", "half_open"; held_by, held_because: of an operator's hold, or None.

    waiting: sagas that sleep until it lets them in. sentence: how it stands, for people.
    """

    name: str
    state: str
    since: datetime | None
    reason: str
    next_at: datetime | None
    held_by: str | None
    held_because: str | None
    held_at: datetime | None
    waiting: int
    now: datetime
    sentence: str


@dataclass(frozen=True, slots=True)
class ServicePreview:
    """What an act would do to a service. refused: why it must not be, or None."""

    line: ServiceLine
    sentence: str
    refused: str | None


@dataclass(frozen=True, slots=True)
class ServiceActed:
    """How the service stands behind an act, and the act's number in the audit."""

    line: ServiceLine
    number: int


class ServiceDesk:
    """Services at the desk of `who`."""

    def __init__(self, engine: Engine, who: str) -> None:
        self._engine = engine
        self._who = who

    async def list(self) -> Sequence[ServiceLine]:
        """Those of the definitions at hand, and every one that was ever opened or held, by name."""
        async with self._engine.connection() as connection:
            rows = {row.name: row for row in await services.every(connection, self._engine.schema)}
            held = {one.service: one for one in await stuck.held(connection, self._engine.schema)}
            now = await self._now(rows)
        for name in self._known() - set(rows):
            rows[name] = ServiceRow(name, Circuit(), None, None, None, now, waiting=False)
        return [_line(row, held.get(name)) for name, row in sorted(rows.items())]

    async def preview(self, act: str, name: str) -> ServicePreview:
        """What "hold", "unhold", "open" or "close" would do to it now.

        Raises:
            NotFoundError: the definitions at hand have no such service.
        """
        line = await self._find(name)
        held = None if line.held_by is None else line.held_by
        circuit = Circuit(State(line.state), since=line.since, reason=line.reason, held=held is not None)
        row = ServiceRow(name, circuit, held, line.held_because, line.held_at, line.now, line.waiting > 0)
        return ServicePreview(line, _would(line, ServiceAct(act)), service_acts.refusal(row, ServiceAct(act)))

    async def hold(self, name: str, *, because: str) -> ServiceActed:
        """Call it no more until it is let go, whatever its breaker says. Unsafe where it is held already."""
        return await self._act(ServiceAct.HOLD, name, because)

    async def unhold(self, name: str, *, because: str) -> ServiceActed:
        """End the hold; a canary goes first. Unsafe where it is not held."""
        return await self._act(ServiceAct.UNHOLD, name, because)

    async def open(self, name: str, *, because: str) -> ServiceActed:
        """Say that it is down: let it alone for a cool-down. Unsafe where it is open already."""
        return await self._act(ServiceAct.OPEN, name, because)

    async def close(self, name: str, *, because: str) -> ServiceActed:
        """Say that it is back: calls go at once, sleepers follow in waves. Unsafe where it is closed already."""
        return await self._act(ServiceAct.CLOSE, name, because)

    async def _act(self, act: ServiceAct, name: str, because: str) -> ServiceActed:
        reason = plain("because", because)
        await self._find(name)
        async with self._engine.connection() as connection:
            _, number = await service_acts.act_on(
                connection, self._engine.schema, name, act, who=self._who, because=reason
            )
        return ServiceActed(await self._find(name), number)

    async def _find(self, name: str) -> ServiceLine:
        found = {line.name: line for line in await self.list()}
        if name in found:
            return found[name]
        known = self._known()
        if known or not name.strip():
            raise NotFoundError(f"there is no service {name!r}: there are {', '.join(sorted(found))}")
        row = ServiceRow(name, Circuit(), None, None, None, await self._now({}), waiting=False)
        return _line(row, None)

    def _known(self) -> set[str]:
        sagas = self._engine.registry.sagas.values()
        return {step.service.name for one in sagas for step in one.steps.values()}

    async def _now(self, rows: dict[str, ServiceRow]) -> datetime:
        for row in rows.values():
            return row.now
        async with self._engine.connection() as connection:
            return await stuck.now(connection, self._engine.schema)


def stands(row: ServiceRow) -> str:
    """How a service stands, and what happens next: "is open since 10 s (…); a canary goes in 10 s"."""
    circuit = row.circuit
    if row.held_by is not None:
        ago = show(row.now - (row.held_at or row.now))
        return f"is held by {row.held_by} since {ago}, because: {row.held_because}; `saga service unhold` lets it go"
    since = "" if circuit.since is None else f" since {show(max(row.now - circuit.since, timedelta(0)))}"
    match circuit.state:
        case State.CLOSED:
            return f"is closed{since}" + ("; sagas are let in by waves" if row.waiting else "")
        case State.OPEN:
            left = (circuit.next_at or row.now) - row.now
            then = f"a canary goes in {show(left)}" if left > timedelta(0) else "a canary goes next"
            return f"is open{since} ({circuit.reason}); {then}"
        case State.HALF_OPEN:
            return f"is half-open{since}: a wave of {circuit.wave} finds out whether it is back"


def of_saga(waiting_for: str | None, rows: Sequence[ServiceRow]) -> ServiceRow | None:
    """The service that a sleeping saga waits for, if it waits for one alone."""
    if waiting_for is None or not waiting_for.startswith(PREFIX):
        return None
    return next((row for row in rows if waiting_for == PREFIX + row.name), None)


def _line(row: ServiceRow, held: Held | None) -> ServiceLine:
    c = row.circuit
    return ServiceLine(
        row.name, c.state.value, c.since, c.reason, c.next_at if c.state is not State.CLOSED else None, row.held_by,
        row.held_because, row.held_at, 0 if held is None else held.count, row.now, f"{row.name} {stands(row)}",
    )  # fmt: skip


def _would(line: ServiceLine, act: ServiceAct) -> str:
    sagas = f"{line.waiting} saga{'' if line.waiting == 1 else 's'}"
    match act:
        case ServiceAct.HOLD:
            return f"{line.name}: it is called no more until it is let go; sagas that need it wait, and nothing is burnt"
        case ServiceAct.UNHOLD:
            return f"{line.name}: a canary goes first, then {sagas} that wait follow in waves"
        case ServiceAct.OPEN:
            return (
                f"{line.name}: it is let alone for its cool-down, then canaries find out whether it is back"
            )
        case ServiceAct.CLOSE:
            return f"{line.name}: it is called at once, and {sagas} that wait follow in waves"

"""What operators do to a service: hold it, let it go again, open it, close it.

Rules that hold here: an act is judged under the service's lock, and audited in its transaction; what follows from it is
the pure `saga.core.breaker`'s to say.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from saga.core import breaker
from saga.core.breaker import State
from saga.errors import Unsafe
from saga.store import audit, services
from saga.store.acts import again
from saga.store.connections import Connection
from saga.store.requests import HINT
from saga.store.services import ServiceRow
from saga.store.wakeups import channel


class ServiceAct(StrEnum):
    """What can be done to a service; in the audit it is "service hold", and so on."""

    HOLD = "hold"
    """Call it no more, whatever its breaker says, until it is let go."""
    UNHOLD = "unhold"
    """The hold is over: canaries go first."""
    OPEN = "open"
    """It is down: let it alone for a cool-down, then canaries go."""
    CLOSE = "close"
    """It is back: calls go at once, sagas that sleep follow in waves."""


def refusal(row: ServiceRow, act: ServiceAct) -> str | None:
    """Why the act must not be, or None."""
    match act, row.circuit.state:
        case ServiceAct.HOLD, _ if row.held_by is not None:
            return f"{row.name} is held already, by {row.held_by}, because: {row.held_because}"
        case ServiceAct.UNHOLD, _ if row.held_by is None:
            return f"{row.name} is not held"
        case ServiceAct.OPEN, State.OPEN:
            return f"{row.name} is open already: {row.circuit.reason}"
        case ServiceAct.CLOSE, State.CLOSED:
            held = f"; it is held by {row.held_by}: `saga service unhold`" if row.held_by is not None else ""
            return f"{row.name} is closed already{held}"
        case _:
            return None


def done(row: ServiceRow, act: ServiceAct, who: str, because: str) -> ServiceRow:
    """The service behind the act."""
    circuit, now = row.circuit, row.now
    match act:
        case ServiceAct.HOLD:
            held = breaker.held(circuit)
            return replace(row, circuit=held, held_by=who, held_because=because, held_at=now)
        case ServiceAct.UNHOLD:
            free = breaker.unheld(circuit, now)
            return replace(row, circuit=free, held_by=None, held_because=None, held_at=None)
        case ServiceAct.OPEN:
            return replace(row, circuit=breaker.opened_by_hand(circuit, now, f"{who} says: {because}"))
        case ServiceAct.CLOSE:
            return replace(row, circuit=breaker.closed(circuit, now))


async def act_on(
    connection: Connection, schema: str, name: str, act: ServiceAct, *, who: str, because: str
) -> tuple[ServiceRow, int]:
    """Do it; how the service stands then, and the number of the act in the audit.

    Raises:
        Unsafe: it is so already.
    """

    def judged(row: ServiceRow) -> ServiceRow:
        refused = refusal(row, act)
        if refused is not None:
            raise Unsafe(refused)
        seen.append(row)
        return done(row, act, who, because)

    async def go() -> tuple[ServiceRow, int]:
        after = await services.change_within(connection, schema, name, judged)
        detail = {"service": name, "state": seen[-1].circuit.state.value, "revision": seen[-1].circuit.turn}
        entry = await audit.append(
            connection, schema, who=who, act=f"service {act}", saga_id=None, because=because, detail=detail
        )
        await connection.execute(HINT.on(schema).encode(), {"channel": channel(schema)})
        return after, entry.number

    seen: list[ServiceRow] = []
    return await again(connection, go)

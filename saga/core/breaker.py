"""When a service is let alone, and how it is let in again: the breaker of one service, as a pure state machine.

Rules that hold here: what opens a breaker is a row of failures without one answer between them, so that a service that
fails now and then stays closed however busy it is; an open service is not called; after its cool-down a few calls find
out whether it is back, in waves of 1, 2, 4, 8 and 16, each of which must come back good as a whole; what waits outside
of memory is let in by waves, too, also behind a closing by hand. A report counts only in the turn in which its call was
let in: what an older call brings says nothing of the service as it is now. An operator's hold stands above all of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

LAST_WAVE = 16
"""A wave of so many calls that all came back good closes the breaker."""
RELEASED_FIRST, RELEASED_MOST = 32, 1024
"""How many sleepers a closed service takes in one go: first, and at the most."""
RELEASE_EVERY = timedelta(seconds=1)
COOL_DOWN = timedelta(seconds=20)
"""For a service that an operator opens and whose code declares no breaker."""


class State(StrEnum):
    """Of one service. Opened by failures or an operator, half-open when its cool-down is over, closed by its last wave."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Rules:
    """failures: so many in a row open it. within: the first and the last of them are no farther apart. cool_down: how long it is let alone."""

    failures: int
    within: timedelta
    cool_down: timedelta


@dataclass(frozen=True, slots=True)
class Window:
    """The failures since the last answer, as one worker has counted them; seconds by its own clock."""

    failed: tuple[float, ...] = ()

    def failure(self, at: float, rules: Rules) -> Window:
        """One more; those that are too old to count with it are forgotten."""
        oldest = at - rules.within.total_seconds()
        return Window((*(one for one in self.failed if one >= oldest), at)[-rules.failures :])

    def full(self, rules: Rules) -> bool:
        """Whether they open the breaker."""
        return len(self.failed) >= rules.failures


@dataclass(frozen=True, slots=True)
class Circuit:
    """The breaker of one service as all workers share it. Times are the database's.

    turn: +1 with each change of state, each hold and each wave of canaries. since: when the state began. reason: why it was opened.
    next_at: when canaries may go (open), when a wave is let in anew (half-open), when the next sleepers are let in (closed).
    wave: how many are let in at once; of these taken: let in, passed: come back good. held: by an operator.
    """

    state: State = State.CLOSED
    turn: int = 0
    since: datetime | None = None
    reason: str = ""
    cool_down: timedelta = COOL_DOWN
    next_at: datetime | None = None
    wave: int = 0
    taken: int = 0
    passed: int = 0
    held: bool = False

    @property
    def lets_all_in(self) -> bool:
        """Whether calls go out without asking."""
        return self.state is State.CLOSED and not self.held

    @property
    def places(self) -> int:
        """How many more the present wave lets in."""
        return self.wave - self.taken if self.state is State.HALF_OPEN and not self.held else 0

    def due(self, now: datetime) -> bool:
        """Whether `next_at` has come. A clock that has jumped back does not make it farther than it can be."""
        return (
            self.next_at is None or self.next_at <= now or self.next_at - now > self.cool_down + RELEASE_EVERY
        )

    def asks(self, now: datetime) -> bool:
        """Whether it makes sense to ask to be let in."""
        if self.held:
            return False
        return self.state is State.CLOSED or self.due(now) or self.places > 0


def opened(circuit: Circuit, now: datetime, reason: str, cool_down: timedelta, turn: int) -> Circuit:
    """A worker has seen a row of failures in `turn`."""
    if circuit.state is not State.CLOSED or circuit.turn != turn:
        return circuit
    return _open(circuit, now, reason, cool_down)


def let_in(circuit: Circuit, now: datetime) -> tuple[Circuit, bool]:
    """One call asks; whether it may go, and it counts for the turn in which the circuit is then."""
    if circuit.held:
        return circuit, False
    if circuit.state is State.CLOSED:
        return circuit, True
    if circuit.due(now):
        circuit = _on(circuit, now)
    if circuit.state is State.CLOSED:
        return circuit, True
    if circuit.state is State.OPEN or circuit.taken >= circuit.wave:
        return circuit, False
    return replace(circuit, taken=circuit.taken + 1), True


def came_back(circuit: Circuit, now: datetime, turn: int) -> Circuit:
    """A call that was let in in `turn` was answered. A report that comes twice counts no call that nobody has made."""
    if circuit.state is not State.HALF_OPEN or circuit.turn != turn or circuit.passed == circuit.taken:
        return circuit
    circuit = replace(circuit, passed=circuit.passed + 1)
    if circuit.passed < circuit.wave:
        return circuit
    return _next(circuit, now)


def failed(circuit: Circuit, now: datetime, reason: str, turn: int) -> Circuit:
    """A call that was let in in `turn` failed: one is enough, the service is let alone again."""
    if circuit.state is not State.HALF_OPEN or circuit.turn != turn:
        return circuit
    return _open(circuit, now, reason, circuit.cool_down)


def gave_back(circuit: Circuit, turn: int) -> Circuit:
    """A call that was let in in `turn` was not made after all."""
    if circuit.state is not State.HALF_OPEN or circuit.turn != turn:
        return circuit
    return replace(circuit, taken=max(circuit.passed, circuit.taken - 1))


def looked(circuit: Circuit, now: datetime, *, waiting: bool) -> Circuit:
    """Somebody has looked, and perhaps a turn begins by itself. waiting: whether sagas sleep until they are let in."""
    if circuit.held or not circuit.due(now):
        return circuit
    match circuit.state:
        case State.OPEN:
            return _on(circuit, now)
        case State.HALF_OPEN if circuit.taken == circuit.passed and not waiting:
            # Whoever wanted to go has gone, and all came back good; or nobody has, and the next call is the canary.
            return closed(circuit, now) if circuit.wave > 1 else circuit
        case State.HALF_OPEN:
            return _on(circuit, now)
        case State.CLOSED if waiting:
            size = min(RELEASED_MOST, max(RELEASED_FIRST, circuit.wave * 2))
            return replace(circuit, wave=size, next_at=now + RELEASE_EVERY)
        case State.CLOSED:
            return circuit


def released(before: Circuit, after: Circuit) -> int:
    """How many sleepers are let in because `before` has become `after`."""
    if after.state is State.CLOSED and not after.held:
        return after.wave if (after.turn, after.next_at) != (before.turn, before.next_at) else 0
    return after.places if after.turn != before.turn else 0


def opened_by_hand(circuit: Circuit, now: datetime, reason: str) -> Circuit:
    """An operator says that it is down."""
    return _open(circuit, now, reason, circuit.cool_down)


def closed(circuit: Circuit, now: datetime) -> Circuit:
    """Its last wave came back good, or an operator says that it is back: calls go, sleepers follow in waves."""
    return replace(
        circuit, state=State.CLOSED, turn=circuit.turn + 1, since=now, reason="", next_at=now + RELEASE_EVERY,
        wave=RELEASED_FIRST, taken=0, passed=0,
    )  # fmt: skip


def held(circuit: Circuit) -> Circuit:
    """An operator holds it: nothing is called, and nothing changes by itself."""
    return replace(circuit, held=True, turn=circuit.turn + 1)


def unheld(circuit: Circuit, now: datetime) -> Circuit:
    """The hold is over: canaries go first, because nobody has called it meanwhile."""
    return replace(_wave(circuit, now, 1), held=False)


def _open(circuit: Circuit, now: datetime, reason: str, cool_down: timedelta) -> Circuit:
    return replace(
        circuit, state=State.OPEN, turn=circuit.turn + 1, since=now, reason=reason, cool_down=cool_down,
        next_at=now + cool_down, wave=0, taken=0, passed=0,
    )  # fmt: skip


def _on(circuit: Circuit, now: datetime) -> Circuit:
    """What follows when its time has come: the first canary; the next wave, where too few came to fill this one; or this one anew."""
    if circuit.state is State.OPEN:
        return _wave(circuit, now, 1)
    came = circuit.passed > 0 and circuit.taken == circuit.passed
    return _next(circuit, now) if came else _wave(circuit, now, circuit.wave)


def _next(circuit: Circuit, now: datetime) -> Circuit:
    return closed(circuit, now) if circuit.wave >= LAST_WAVE else _wave(circuit, now, circuit.wave * 2)


def _wave(circuit: Circuit, now: datetime, size: int) -> Circuit:
    since = circuit.since if circuit.state is State.HALF_OPEN else now
    return replace(
        circuit, state=State.HALF_OPEN, turn=circuit.turn + 1, since=since, next_at=now + circuit.cool_down,
        wave=size, taken=0, passed=0,
    )  # fmt: skip

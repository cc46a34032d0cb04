"""A sweep: one saga, every path with up to so many faults, each on a fresh world, each judged by the ledger.

Rules that hold here: a path is the list of its faults, each at a point that the path before it has passed; delays are
the same on every path, so that only the faults differ; the paths with the fewest faults come first, and a sweep that
has found something on them goes no further.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from saga.core.model import ENDS, Direction
from saga.core.promises import Kind
from saga.definition import SagaDefinition
from saga.handle import Handle, SagaView
from saga.testing.driving import VirtualEngine
from saga.testing.findings import Finding, Passed, findings, in_words, step_of, told
from saga.testing.invariants.record import Record, Shown
from saga.testing.planning import Plans
from saga.testing.simulation.chance import Scripted
from saga.testing.simulation.ledger import Action
from saga.testing.simulation.network import (
    KILLED_AFTER,
    KILLED_BEFORE,
    LATE,
    LOST,
    NO_ANSWER,
    UNANSWERED,
)
from saga.testing.simulation.service import FAILS_AFTER, REFUSES, SHEDS
from saga.testing.simulation.simulation import Start
from saga.testing.simulation.wire import BATCH_KILLED, BATCH_UNANSWERED
from saga.testing.virtual import Virtual, setting
from saga_worker.effects import LiveEffect

CALLS = (KILLED_BEFORE, KILLED_AFTER, LOST, UNANSWERED, LATE, REFUSES, FAILS_AFTER, SHEDS)
QUESTIONS = (NO_ANSWER,)
BATCHES = (BATCH_KILLED, BATCH_UNANSWERED)
WRITES = frozenset({"outcomes", "first_intents", "next_intents", "sagas"})
"""The statements that move a saga on; a fault around any other changes nothing for it."""

Script = tuple[tuple[str, int, str], ...]
Outside = Callable[[Callable[[], "Walked"]], Awaitable["Walked"]]


@dataclass(frozen=True)
class Swept:
    """What a sweep has seen: `paths` of them. Each has ended, or is parked and waits for a person.

    ended: how many, by the customer's word. parked: how many, by the cause. how: the first path to each of these words
    and causes, in words.
    """

    paths: int
    ended: Counter[str]
    parked: Counter[str]
    how: dict[str, str]


class Pathed(Scripted):
    """The faults of one path."""

    def fault(self, point: str, options: Sequence[str], at: float) -> str | None:
        """As the script says; at the database only where something is written."""
        kind, _, names = point.partition(" ")
        if kind == "database" and WRITES.isdisjoint(names.split(", ")):
            return None
        return super().fault(point, options, at)


class Path(Virtual):
    """One path. passed: what each point is about."""

    def __init__(self, engine: VirtualEngine, plans: Plans, chance: Pathed) -> None:
        self.passed: dict[str, Passed] = {}
        self._handle: Handle[Any] | None = None
        self._seen = ""
        super().__init__(engine, plans, chance, setting(BATCHES))

    def unplanned(self, effect: LiveEffect, point: str, *, probe: bool) -> str | None:
        """By the script."""
        self.passed[point] = Passed(effect.identity, effect.direction, effect.attempt, probe=probe)
        options: tuple[str, ...]
        if probe:
            options = QUESTIONS
        elif effect.policy.kind is Kind.READS:
            options = tuple(one for one in CALLS if one != LATE)
        else:
            options = CALLS
        return self.chance.fault(point, options, self.machine.now)

    def refusal(self, effect: LiveEffect) -> tuple[str, str]:
        """An undo that is refused says why there is a person to call."""
        if self._planned is None and effect.direction is Direction.BACKWARD:
            return "declined", "the undo was refused"
        return super().refusal(effect)

    def start(self, start: Start) -> None:
        """Start the saga, and look at it whenever it has ended."""
        self.starts.append(start)
        self._handle = self.ask(self.engine.start(start.definition, start.value, key=start.key))

    def changed(self) -> None:
        """A customer looks at the moment at which it ends."""
        for row in self.database.rows("saga"):
            if row["status"] != self._seen:
                self._seen = row["status"]
                if self._seen in ENDS and self._handle is not None:
                    self._customers.begin(self.look())

    async def look(self) -> SagaView:
        """What a customer sees now."""
        assert self._handle is not None, "it was started"
        view = await self._handle.view()
        self.shown.append(Shown(self.machine.now, view.key, str(view.status), len(self.ledger.entries)))
        return view


@dataclass
class Walked:
    """One path that was run."""

    chance: Pathed
    findings: list[Finding]
    record: Record
    view: SagaView
    cause: str | None
    path: tuple[str, ...]


@dataclass
class Sweep:
    """One sweep of one saga. within: virtual seconds that a saga may take. may_stand: by step, if not once."""

    saga: SagaDefinition[Any, Any]
    input: Any
    key: str
    plans: Plans
    within: float
    may_stand: dict[str, int] = field(default_factory=dict[str, int])

    def __post_init__(self) -> None:
        """Check the definition, once."""
        self._served = VirtualEngine()
        self._served.learn(self.saga)
        steps = self.saga.steps.values()
        longest = (s.policy.timeout + s.service.promises.lateness for s in steps)
        self._horizon = max((one.total_seconds() for one in longest), default=0.0) + 1.0
        self._clean: Counter[str] | None = None

    async def walked(self, faults: int, outside: Outside) -> Swept:
        """Every path with up to so many faults.

        Raises:
            AssertionError: with all that was found on the paths with the fewest faults.
        """
        __tracebackhide__ = True
        paths, ended, parked, how = 0, Counter[str](), Counter[str](), dict[str, str]()
        level: list[tuple[Script, int]] = [((), 0)]
        for depth in range(faults + 1):
            deeper: list[tuple[Script, int]] = []
            wrong: list[Walked] = []
            for script, passed in level:
                one = await outside(lambda script=script: self.run(script))  # type: ignore[misc]
                paths += 1
                if one.findings:
                    wrong.append(one)
                else:
                    word = one.cause or str(one.view.status)
                    (parked if one.cause else ended)[word] += 1
                    how.setdefault(word, ", ".join(one.path) or "without any fault")
                if depth < faults:
                    deeper += _after(one.chance, script, passed)
            if wrong:
                raise AssertionError(told(self.saga, [(one.findings, one.record) for one in wrong], paths))
            level = deeper
        return Swept(paths, ended, parked, how)

    def run(self, script: Script) -> Walked:
        """One path, from an empty world on."""
        chance = Pathed({(point, number): name for point, number, name in script})
        engine = VirtualEngine()
        engine.serve_as(self._served)
        with _quiet():
            path = Path(engine, self.plans.copy(), chance)
            try:
                return self._run(path, chance)
            finally:
                path.close()

    def _run(self, path: Path, chance: Pathed) -> Walked:
        path.start(Start(self.saga, self.input, self.key))
        rested = path.until_rest(self.within)
        path.machine.run(path.machine.now + self._horizon)  # what is on its way lands
        rested = path.until_rest(self.within) and rested
        if path.raised:
            raise path.raised[0]
        view = path.ask(path.look())
        record = path.record(rested=rested)
        (row,) = path.database.rows("saga")
        if self._clean is None:
            self._clean = _applied(record, self.key)
        limits = {**self._clean, **self.may_stand}
        faults = in_words([(fault, path.passed.get(fault.point)) for fault in chance.taken])
        found = findings(record, faults, limits, row["park_reason"])
        return Walked(chance, found, record, view, row["park_cause"], faults)


def _applied(record: Record, key: str) -> Counter[str]:
    return Counter(step_of(e.named.step) for e in record.lines.get(key, []) if e.action is Action.APPLIED)


def _after(chance: Pathed, script: Script, passed: int) -> Iterator[tuple[Script, int]]:
    """The paths with one fault more, at a later point."""
    for place in range(passed, len(chance.seen)):
        point, number, options = chance.seen[place]
        for name in options:
            yield (*script, (point, number, name)), place + 1


@contextmanager
def _quiet() -> Generator[None]:
    """Thousands of deaths of workers are no news for the log."""
    logger = logging.getLogger("saga")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)

"""`World`: a user's own sagas on the production engine, with simulated time, services and faults.

Rules that hold here: the bodies of steps are not called; the service behind each keeps exactly what it declares,
and writes down every effect; time passes only when the test says so; nothing is left to chance.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from saga.call import Call
from saga.core.durations import Duration, parse
from saga.definition import SagaDefinition
from saga.engine import Engine
from saga.errors import SagaError
from saga.handle import Handle, SagaView
from saga.handlers import hints_of
from saga.steps import Compensation, Step
from saga.testing.invariants import Record
from saga.testing.samples import sample
from saga.testing.simulation.chance import Scripted
from saga.testing.simulation.ledger import Action, Entry, Ledger
from saga.testing.simulation.machine import Process
from saga.testing.simulation import network as faults
from saga.testing.simulation.service import FAILS_AFTER, REFUSES, SHEDS
from saga.testing.simulation.simulation import Setting, Simulation, SimulatedEngine
from saga_worker.effects import LiveEffect

In = TypeVar("In")
Out = TypeVar("Out")
Handlers: TypeAlias = "Step[..., Any] | Compensation[Any, ...]"

LONGEST = "1d"
"""How long `run` waits for an end, in virtual time."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What will happen to one request. after: seconds after which it lands, of one that lands late."""

    fault: str
    after: float | None = None
    refusal: tuple[str, str] = ("declined", "no")


class On:
    """What happens to the next requests of one step, or of one compensation; in the order in which it is said."""

    def __init__(self, world: World, handlers: Handlers) -> None:
        self._world = world
        self._handlers = handlers

    def lose_reply(self) -> On:
        """The effect happens, and the answer is lost."""
        return self._then(faults.UNANSWERED)

    def lose_request(self) -> On:
        """The request never arrives, and nobody is told."""
        return self._then(faults.LOST)

    def refuse(self, code: str = "declined", message: str = "no") -> On:
        """The service says a final no."""
        return self._add(Planned(REFUSES, refusal=(code, message)))

    def shed(self) -> On:
        """The service turns the request away before it does anything (429)."""
        return self._then(SHEDS)

    def fail(self) -> On:
        """The service breaks after the effect has happened (500)."""
        return self._then(FAILS_AFTER)

    def disconnect(self) -> On:
        """No connection: the request has certainly not left."""
        return self._then(faults.NO_CONNECTION)

    def stall(self) -> On:
        """No answer within the step's timeout; the effect happens later, as late as the service declares."""
        return self._then(faults.LATE)

    def land_late(self, after: Duration) -> On:
        """The request lands so long after it was sent, also later than the service declares; nobody is told."""
        return self._add(Planned(faults.LATE, after=parse(after).total_seconds()))

    def kill_worker(self, when: Literal["before", "after"] = "after") -> On:
        """The worker dies, just before or just after the request has left."""
        return self._then(faults.KILLED_AFTER if when == "after" else faults.KILLED_BEFORE)

    def returns(self, value: Any) -> On:
        """What the service replies with from now on, in place of a value made up from the step's type."""
        self._world.values[self._handlers] = value
        return self

    def _then(self, fault: str) -> On:
        return self._add(Planned(fault))

    def _add(self, planned: Planned) -> On:
        self._world.plans[self._handlers].append(planned)
        return self


@dataclass(frozen=True)
class Run(Generic[Out]):
    """What came of one saga. view: as a customer sees it. output: what it returned, or None."""

    view: SagaView
    output: Out | None
    handle: Handle[Out]


class Planning(Simulation):
    """A simulation in which what happens is what a test has planned."""

    world: World

    def fault(self, effect: LiveEffect, point: str, *, probe: bool) -> str | None:
        """The next of the plan of this step."""
        plan = self.world.plans[effect.handlers]
        self.world.current = None
        if probe or not plan:
            return super().fault(effect, point, probe=probe)
        self.world.current = plan.popleft()
        return self.world.current.fault

    def lateness(self, effect: LiveEffect, call: Call) -> float:
        """As planned, or as late as the service declares."""
        planned = self.world.current
        if planned is not None and planned.after is not None:
            return planned.after
        return super().lateness(effect, call)

    def refusal(self, effect: LiveEffect) -> tuple[str, str]:
        """As planned."""
        return ("declined", "no") if self.world.current is None else self.world.current.refusal


class World:
    """The fixture `world`. Give it to a test, say what goes wrong, and run a saga."""

    def __init__(self) -> None:
        """Nothing runs yet; the first `run` or `start` begins the world."""
        self.plans: defaultdict[Handlers, deque[Planned]] = defaultdict(deque)
        self.values: dict[Handlers, Any] = {}
        self.current: Planned | None = None
        self._simulation: Planning | None = None
        self._definitions: dict[str, SagaDefinition[Any, Any]] = {}
        self._started = 0

    def on(self, step: Handlers) -> On:
        """What happens to the next requests of this step, or of this compensation."""
        return On(self, step)

    async def run(
        self, saga: SagaDefinition[In, Out], input: In, *, key: str | None = None, within: Duration = LONGEST
    ) -> Run[Out]:
        """Start a saga and let time pass until it has ended or waits for a person, at most `within`."""
        handle = await self.start(saga, input, key=key)
        simulation = self._begun()
        await self._let(lambda: simulation.settle(simulation.machine.now + parse(within).total_seconds()))
        view = await self._inside(handle.view())
        output = await self._inside(handle.result()) if view.status == "confirmed" else None
        return Run(view, output, handle)

    async def start(self, saga: SagaDefinition[In, Out], input: In, *, key: str | None = None) -> Handle[Out]:
        """Start a saga; nothing of it happens before time passes."""
        simulation = self._begun(saga)
        self._started += 1
        used = key or f"{saga.name}-{self._started}"
        return await self._inside(simulation.engine.start(saga, input, key=used))

    async def view(self, handle: Handle[Any]) -> SagaView:
        """What a customer sees now."""
        return await self._inside(handle.view())

    async def advance(self, by: Duration) -> None:
        """Let time pass."""
        machine = self._begun().machine
        until = machine.now + parse(by).total_seconds()
        await self._let(lambda: machine.run(until))

    def kill_worker(self) -> None:
        """Kill the worker now (kill -9); another takes its place."""
        self._begun().kill_any()

    def effects(self, step: Handlers) -> int:
        """How many effects of this step stand: applied, less undone. Of a compensation: how often it has run."""
        if isinstance(step, Compensation):
            return self._count(step.step, Action.UNDONE)
        return self._count(step, Action.APPLIED) - self._count(step, Action.UNDONE)

    def applied(self, step: Step[..., Any]) -> int:
        """How often this step was applied, undone or not."""
        return self._count(step, Action.APPLIED)

    @property
    def ledger(self) -> list[Entry]:
        """Every line that the services have written."""
        return list(self._begun().ledger.entries)

    def close(self) -> None:
        """End the world; the fixture does it."""
        if self._simulation is not None:
            self._simulation.close()
            self._simulation = None

    def value(self, effect: LiveEffect, call: Call) -> Any:
        """What a success replies with."""
        step = effect.step
        if step in self.values:
            return self.values[step]
        return sample(hints_of(step.function)["return"], f"{step.name}-{call.key[:8]}")

    def _count(self, step: Step[..., Any], action: Action) -> int:
        name = step.name
        return sum(
            e.action is action and e.named.step.rpartition("/")[2].partition("#")[0] == name
            for e in self._begun().ledger.entries
        )

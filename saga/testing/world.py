"""`World`: a user's own sagas on the production engine, with services and faults that the test decides.

Rules that hold here: the bodies of steps are not called; the service behind each keeps exactly what it declares,
and writes down every effect; time passes only when the test says so; nothing is left to chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, Self, TypeVar, overload

from saga.answers import Answer
from saga.core.durations import Duration, parse
from saga.core.model import Direction, View
from saga.definition import SagaDefinition
from saga.handle import Handle, SagaView
from saga.signals import Signal
from saga.steps import Compensation, Step
from saga.testing.driving import VirtualStage, outside
from saga.testing.planning import Handlers, On, Plans
from saga.testing.simulation.ledger import Action, Entry
from saga.testing.stage import NotHere, Stage
from saga.testing.sweeping import Sweep, Swept

P = ParamSpec("P")
T = TypeVar("T")
In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True, slots=True)
class Run(Generic[Out]):
    """What came of one saga. view: as a customer sees it. output: what it returned, None where it did not complete."""

    view: SagaView
    output: Out | None
    handle: Handle[Out]


class World:
    """The fixture `world`. Say what goes wrong, run a saga, and count what stands.

    Without pytest: `async with World() as world`. On a real Postgres, in real time:
    `async with world(postgres=True) as real`.
    """

    def __init__(self) -> None:
        """Nothing runs yet; the first `run` or `start` begins the world."""
        self._plans = Plans()
        self._stage: Stage = VirtualStage(self._plans)
        self._started = 0

    def __call__(self, *, postgres: bool | str, lease: Duration = "2s") -> World:
        """A world of its own on a real Postgres, in real time, for `async with`.

        Args:
            postgres: True for a temporary one from the wheel (`saga-engine[embedded]`), or the URL of yours; it gets a
                schema of its own there, which is dropped at the end.
            lease: so long after its death a killed worker's sagas go to the next.
        """
        from saga.testing.real import RealStage  # noqa: PLC0415 - a Postgres from a wheel, only where it is wanted

        if postgres is False:
            return World()
        world = World()
        world._stage = RealStage(world._plans, None if postgres is True else postgres, parse(lease))
        return world

    async def __aenter__(self) -> Self:
        await self._stage.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stage.close()

    # What goes wrong.

    @overload
    def on(self, step: Step[P, T]) -> On[P, T]: ...
    @overload
    def on(self, step: Compensation[Any, ...]) -> On[..., None]: ...
    def on(self, step: Step[P, T] | Compensation[Any, ...]) -> On[P, T] | On[..., None]:
        """What happens to the next requests of this step, or of this compensation."""
        return On(self._plans, step)

    def kill_worker(self) -> None:
        """Kill the worker now (kill -9); when its lease is over another takes its place."""
        self._stage.kill_worker()

    # What runs.

    async def run(
        self,
        saga: SagaDefinition[In, Out],
        input: In,
        *,
        key: str | None = None,
        within: Duration | None = None,
    ) -> Run[Out]:
        """Start a saga and let time pass until it has ended or waits for a person.

        Args:
            saga: the definition.
            input: its one argument.
            key: the business key; by default a new one.
            within: how long at most; by default a day, and on a real Postgres a minute.
        """
        handle = await self.start(saga, input, key=key)
        return await self.rest(handle, within=within)

    async def start(
        self,
        saga: SagaDefinition[In, Out],
        input: In,
        *,
        key: str | None = None,
        after: Duration | None = None,
    ) -> Handle[Out]:
        """Start a saga, `after` a while; it goes on when time passes (`advance`, `rest`, or another `run`)."""
        self._started += 1
        return await self._stage.start(saga, input, key or f"{saga.name}-{self._started}", after)

    async def rest(self, handle: Handle[Out], *, within: Duration | None = None) -> Run[Out]:
        """Let time pass until a saga that was started has ended or waits for a person."""
        await self._stage.rest(handle, self._stage.patience if within is None else parse(within))
        view = await handle.view()
        output = await handle.result() if view.status is View.CONFIRMED else None
        return Run(view, output, handle)

    async def view(self, handle: Handle[Any]) -> SagaView:
        """What a customer sees now."""
        return await handle.view()

    async def advance(self, by: Duration) -> None:
        """Let time pass."""
        await self._stage.advance(parse(by).total_seconds())

    async def cancel(self, handle: Handle[Any], because: str) -> None:
        """Ask a saga to stop and undo, as `handle.cancel` does.

        Raises:
            Unsafe: too late, it has ended or is being undone already.
        """
        await self._stage.cancel(handle, because)

    async def send(
        self, handle: Handle[Any], signal: Signal[T], payload: T, *, key: str | None = None
    ) -> None:
        """Send a saga a signal, as `handle.send` does.

        Raises:
            InputError, KeyConflict, AlreadyEnded: as in production.
        """
        await self._stage.send(handle, signal, payload, key)

    async def witness(self, step: Handlers, answer: Answer[Any]) -> None:
        """A webhook: news of the newest effect of this step, as `engine.witness` takes it.

        Raises:
            LookupError: no request of this step has left yet.
        """
        name, way = _sought(step)
        keys = [
            s.named.key for s in self._stage.ledger.sent
            if _is(s.named.step, name) and s.named.direction is way
        ]  # fmt: skip
        if not keys:
            raise LookupError(f"no request of {step.name} has left yet")
        await self._stage.witness(keys[-1], answer)

    # What came of it.

    def effects(self, step: Handlers, *, key: str | None = None) -> int:
        """How many effects of this step stand: applied, less undone. Of a compensation: how often it has run.

        key: only those of the saga with this key.
        """
        name, way = _sought(step)
        undone = self._count(name, Action.UNDONE, key)
        return undone if way is Direction.BACKWARD else self._count(name, Action.APPLIED, key) - undone

    def applied(self, step: Step[..., Any], *, key: str | None = None) -> int:
        """How often this step was applied, undone or not."""
        return self._count(step.name, Action.APPLIED, key)

    @property
    def ledger(self) -> list[Entry]:
        """Every line that the services have written, in order."""
        return list(self._stage.ledger.entries)

    async def sweep(
        self,
        saga: SagaDefinition[In, Any],
        input: In,
        *,
        faults: int = 1,
        key: str = "swept",
        stands: Mapping[Step[..., Any], int] | None = None,
        within: Duration = "2d",
    ) -> Swept:
        """Run the saga once for every path with up to `faults` faults, at every point, each on a fresh world.

        At each request: the worker is killed before or after it has left, it is lost, its reply is lost, it lands late,
        it is refused, 500 after the effect, 429. At each question: no answer. At each commit: the worker is killed, or
        the reply is lost. What `on` was told happens on every path besides.

        Args:
            saga: the definition.
            input: its one argument.
            faults: how many on one path, at most.
            key: the business key.
            stands: how often a step may stand at the end, where that is more often than without faults.
            within: how long a saga may take, in virtual time.

        Raises:
            AssertionError: an effect stands twice, the code failed or does not fit its own record, or a saga neither
                ended nor was parked; in words, with the path and the ledger.
        """
        __tracebackhide__ = True
        if not isinstance(self._stage, VirtualStage):
            raise NotHere("a sweep needs virtual time: use the fixture itself, without postgres=True")
        walk = Sweep(saga, input, key, self._plans, parse(within).total_seconds())
        walk.may_stand = {step.name: count for step, count in (stands or {}).items()}
        return await walk.walked(faults, outside)

    def close(self) -> None:
        """End the world; the fixture does it."""
        if isinstance(self._stage, VirtualStage):
            self._stage.drop()

    def _count(self, name: str, action: Action, key: str | None) -> int:
        return sum(
            e.action is action and _is(e.named.step, name) and key in (None, e.named.saga)
            for e in self._stage.ledger.entries
        )


def _sought(step: Handlers) -> tuple[str, Direction]:
    if isinstance(step, Compensation):
        return step.step.name, Direction.BACKWARD
    return step.name, Direction.FORWARD


def _is(identity: str, name: str) -> bool:
    """Whether an identity such as "2/charge#1" is one of the step of this name."""
    return identity.rpartition("/")[2].partition("#")[0] == name

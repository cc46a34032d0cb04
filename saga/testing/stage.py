"""Where a world's sagas run: on simulated machines (`saga.testing.virtual`) or on a real Postgres (`saga.testing.real`).

Rules that hold here: both run the production engine and worker, and both put the same fake services, which keep what
a step's `Service` declares and not an inch more, in the place of the steps' own bodies.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import timedelta
from typing import Any, TypeVar

from saga import errors
from saga.answers import Answer
from saga.core.durations import Duration
from saga.definition import SagaDefinition
from saga.engine import Engine
from saga.handle import Handle
from saga.registry import Registry
from saga.signals import Signal
from saga.testing.simulation.ledger import Ledger

In = TypeVar("In")
Out = TypeVar("Out")
T = TypeVar("T")


class NotHere(errors.SagaError):
    """This kind of world cannot do that; the sentence says which one can."""


class GrowingEngine(Engine):
    """An engine that learns of a saga when a test starts it."""

    def __init__(self, url: str | None = None, *, schema: str = "saga", secret: str | None = None) -> None:
        super().__init__(url, sagas=[], schema=schema, secret=secret)
        self._serves: tuple[list[str], list[int]] = ([], [])

    def learn(self, saga: SagaDefinition[Any, Any]) -> None:
        """Serve this one, too.

        Raises:
            DefinitionError: with every problem of every definition.
        """
        known = self.registry.sagas
        if known.get((saga.name, saga.version)) is saga:
            return
        self.registry = Registry([*known.values(), saga])
        self._serves[0].append(saga.name)
        self._serves[1].append(saga.version)

    def serve_as(self, other: GrowingEngine) -> None:
        """Serve what that one serves, without checking it again."""
        self.registry, self._serves = other.registry, other._serves

    def registry_serves(self) -> tuple[list[str], list[int]]:
        """The same lists every time: a worker that holds them learns with us."""
        return self._serves


class Stage(ABC):
    """What `World` asks of the place where its sagas run."""

    patience: timedelta
    """How long a test waits for a saga unless it says otherwise."""

    @property
    @abstractmethod
    def ledger(self) -> Ledger:
        """What the services wrote down."""

    @abstractmethod
    async def open(self) -> None:
        """Make ready what cannot wait for the first start."""

    @abstractmethod
    async def start(
        self, saga: SagaDefinition[In, Out], input: In, key: str, after: Duration | None
    ) -> Handle[Out]:
        """Start a saga, after a while."""

    @abstractmethod
    async def rest(self, handle: Handle[Any], within: timedelta) -> None:
        """Wait until the saga has ended or waits for a person, at most `within`."""

    @abstractmethod
    async def advance(self, seconds: float) -> None:
        """Let time pass."""

    @abstractmethod
    def kill_worker(self) -> None:
        """Kill the worker now; another takes its place when its lease is over."""

    @abstractmethod
    async def witness(self, key: str, answer: Answer[Any]) -> None:
        """Tell the engine what was heard of an effect."""

    @abstractmethod
    async def cancel(self, handle: Handle[Any], because: str) -> None:
        """Ask the saga to stop and undo."""

    @abstractmethod
    async def send(self, handle: Handle[Any], signal: Signal[T], payload: T, key: str | None) -> None:
        """Send the saga a signal."""

    @abstractmethod
    async def close(self) -> None:
        """End it all."""

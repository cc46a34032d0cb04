"""What a test says will happen: to the next requests of a step, and what its service replies with.

Rules that hold here: what is said about a step happens in the order in which it was said, one request each; what a
service replies with is checked against the step's type when it is said, and not when it is too late to see where.
"""

from __future__ import annotations

import inspect
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, ParamSpec, TypeAlias, TypeVar

from saga.core.durations import Duration, parse
from saga.errors import Refused
from saga.handlers import hints_of, own_parameters
from saga.steps import Compensation, Step
from saga.testing.samples import NoSample, sample
from saga.testing.simulation import network
from saga.testing.simulation.service import FAILS_AFTER, REFUSES, SHEDS
from saga_worker.effects import LiveEffect

P = ParamSpec("P")
T = TypeVar("T")
Handlers: TypeAlias = "Step[..., Any] | Compensation[Any, ...]"


@dataclass(frozen=True, slots=True)
class Planned:
    """What will happen to one request. after: seconds from its send to its landing, of one that lands late."""

    fault: str
    after: float | None = None
    refusal: tuple[str, str] = ("declined", "no")


@dataclass
class Plans:
    """All that was said. silences: how many questions about a step get no answer."""

    requests: dict[Handlers, deque[Planned]] = field(default_factory=dict[Handlers, deque[Planned]])
    silences: Counter[Handlers] = field(default_factory=Counter[Handlers])
    replies: dict[Handlers, Callable[..., Any]] = field(default_factory=dict[Handlers, Callable[..., Any]])

    def copy(self) -> Plans:
        """The same once more: each path of a sweep begins with all of it."""
        requests = {handlers: deque(planned) for handlers, planned in self.requests.items()}
        return Plans(requests, Counter(self.silences), self.replies)

    def take(self, handlers: Handlers) -> Planned | None:
        """What happens to this request."""
        planned = self.requests.get(handlers)
        return planned.popleft() if planned else None

    def silent(self, handlers: Handlers) -> bool:
        """Whether this question gets no answer."""
        if self.silences[handlers] <= 0:
            return False
        self.silences[handlers] -= 1
        return True

    def value(self, effect: LiveEffect, key: str) -> Any:
        """What a success replies with.

        A `Refused` that the test's own function raises is given back, and is the service's refusal.

        Raises:
            NoSample: nobody said it, and it cannot be made up.
            Exception: whatever else the test's own function raises.
        """
        step = effect.step
        said = self.replies.get(step)
        if said is None:
            return made_up(step, f"{step.name}-{key[-8:]}")
        arguments = dict(effect.arguments)
        given = [p for p in own_parameters(step.function) if p.kind is not inspect.Parameter.KEYWORD_ONLY]
        ordered = [arguments.pop(p.name) for p in given]
        try:
            return said(*ordered, **arguments)
        except Refused as refused:
            return refused


def made_up(step: Step[..., Any], text: str) -> Any:
    """A value of the step's result type.

    Raises:
        NoSample: none can be made up.
    """
    kind = hints_of(step.function)["return"]
    value = sample(kind, text)
    try:
        step.encode_result(value)
    except ValueError as error:
        raise NoSample(
            f"no result of {step.name} can be made up ({error}): say it with world.on({step.name}).returns(…)"
        ) from None
    return value


class On(Generic[P, T]):
    """What happens to the next requests of one step, or of one compensation; in the order in which it is said."""

    def __init__(self, plans: Plans, handlers: Handlers) -> None:
        """`world.on(step)` makes it."""
        self._plans = plans
        self._handlers = handlers

    def lose_reply(self) -> On[P, T]:
        """The effect happens, and the answer is lost."""
        return self._then(network.UNANSWERED)

    def lose_request(self) -> On[P, T]:
        """The request never arrives, and nobody is told."""
        return self._then(network.LOST)

    def refuse(self, code: str = "declined", message: str = "no") -> On[P, T]:
        """The service says a final no."""
        return self._add(Planned(REFUSES, refusal=(code, message)))

    def shed(self) -> On[P, T]:
        """The service turns the request away before it does anything (429)."""
        return self._then(SHEDS)

    def fail(self) -> On[P, T]:
        """The service breaks after the effect has happened (500)."""
        return self._then(FAILS_AFTER)

    def disconnect(self) -> On[P, T]:
        """No connection: the request has certainly not left."""
        return self._then(network.NO_CONNECTION)

    def stall(self) -> On[P, T]:
        """No answer within the step's timeout; the effect happens later, within what the service declares."""
        return self._then(network.LATE)

    def land_late(self, after: Duration) -> On[P, T]:
        """The request lands so long after it was sent, also later than the service declares; nobody is told."""
        return self._add(Planned(network.LATE, after=parse(after).total_seconds()))

    def kill_worker(self, when: Literal["before", "after"] = "after") -> On[P, T]:
        """The worker dies (kill -9), just before or just after the request has left."""
        return self._then(network.KILLED_AFTER if when == "after" else network.KILLED_BEFORE)

    def status_down(self, times: int = 1) -> On[P, T]:
        """The next so many questions of its status handler get no answer."""
        self._plans.silences[self._handlers] += times
        return self

    def returns(self, value: T) -> On[P, T]:
        """What the service replies with from now on, in place of a value made up from the step's type.

        Raises:
            ValueError: it is not of the step's result type; the message is pydantic's.
        """
        self._step().encode_result(value)
        return self.calls(lambda *_, **__: value)

    def calls(self, function: Callable[P, T]) -> On[P, T]:
        """What the service replies with from now on, by the step's own arguments.

        The function may raise `saga.Refused`: then the service refuses.
        """
        self._plans.replies[self._step()] = function
        return self

    def _step(self) -> Step[..., Any]:
        if isinstance(self._handlers, Compensation):
            raise TypeError(f"{self._handlers.name} is a compensation, and replies with nothing")
        return self._handlers

    def _then(self, fault: str) -> On[P, T]:
        return self._add(Planned(fault))

    def _add(self, planned: Planned) -> On[P, T]:
        self._plans.requests.setdefault(self._handlers, deque()).append(planned)
        return self

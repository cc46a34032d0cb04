"""`@saga`: a function that reads as the business sentence, and what the engine needs to know of it.

Rules that hold here: a saga is `async def` with exactly one input; a definition is its name and version;
importing one checks only what is one line's fault, the rest is told when the engine is built.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from datetime import timedelta
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

from saga.core.durations import Duration
from saga.discovery import by_name, by_signal_name, signals_in, steps_in
from saga.handlers import hints_of, signature_of
from saga.service import duration
from saga.signals import Signal
from saga.steps import Step
from saga.values import Typed, named

In = TypeVar("In")
Out = TypeVar("Out")


class SagaDefinition(Generic[In, Out]):
    """A saga function with its name and version; start it with `engine.start(definition, input, key=…)`.

    name, version: what a stored saga is found by. deadline: for the whole saga, or None. function: as
    written. given, given_signals: the steps and the signals listed by hand.
    """

    def __init__(
        self,
        function: Callable[[In], Coroutine[Any, Any, Out]],
        *,
        name: str,
        version: int = 1,
        deadline: timedelta | None = None,
        steps: Iterable[Step[..., Any]] = (),
        signals: Iterable[Signal[Any]] = (),
    ) -> None:
        self.function = function
        self.name = name
        self.version = version
        self.deadline = deadline
        self.given = tuple(steps)
        self.given_signals = tuple(signals)
        self.__doc__ = function.__doc__
        self.__wrapped__ = function

    @cached_property
    def input(self) -> Typed[In]:
        """The type of the input."""
        (name,) = signature_of(self.function).parameters
        return Typed(hints_of(self.function)[name])

    @cached_property
    def output(self) -> Typed[Out]:
        """The type of the output."""
        return Typed(hints_of(self.function)["return"])

    @cached_property
    def steps(self) -> dict[str, Step[..., Any]]:
        """Every step that the function can call, by name."""
        return by_name([*self.given, *steps_in(self.function)])[0]

    @cached_property
    def signals(self) -> dict[str, Signal[Any]]:
        """Every signal that the function can wait for, by name."""
        return by_signal_name([*self.given_signals, *signals_in(self.function)])[0]

    def require_signal(self, signal: Signal[Any]) -> None:
        """The signal may be waited for, and sent to this saga.

        Raises:
            RuntimeError: it is not among the saga's signals; the sentence says how to add it.
        """
        if self.signals.get(signal.name) is not signal:
            known = ", ".join(sorted(self.signals)) or "none"
            raise RuntimeError(
                f"{signal.name} is not among the signals of saga {self.name}, which waits for {known}: "
                "send one of those, or add signals=[…] to @saga"
            )

    def require(self, step: Step[..., Any]) -> None:
        """The step may be called in this saga.

        Raises:
            RuntimeError: it is not among the saga's steps; the sentence says how to add it.
        """
        if self.steps.get(step.name) is not step:
            raise RuntimeError(
                f"{step.name} is not among the steps of saga {self.name}: add steps=[{step.name}] to @saga"
            )

    def encode_input(self, value: In) -> str:
        """The input as canonical JSON text.

        Raises:
            InputError: it has the wrong shape or cannot be stored; the message is pydantic's.
        """
        with named(f"input of saga {self.name}"):
            return self.input.encode(value)

    def read_input(self, text: str) -> In:
        """The input in JSON text that a person or another program wrote.

        Raises:
            InputError: it is no JSON, or has the wrong shape; the message is pydantic's.
        """
        with named(f"input of saga {self.name}"):
            return self.input.read(text)

    def decode_input(self, text: str) -> In:
        """The stored input. Raises ValueError when its type has changed since."""
        return self.input.decode(text)

    def encode_output(self, value: Out) -> str:
        """The output as canonical JSON text. Raises ValueError when it is not of its type."""
        return self.output.encode(value)

    def decode_output(self, text: str) -> Out:
        """The stored output. Raises ValueError when its type has changed since."""
        return self.output.decode(text)

    def __repr__(self) -> str:
        return f"<saga {self.name} version {self.version}>"


class SagaDecorator(Protocol):
    """What `saga(…)` gives: it makes a `SagaDefinition` of an `async def` function with one input."""

    def __call__(self, f: Callable[[In], Coroutine[Any, Any, Out]], /) -> SagaDefinition[In, Out]:
        """The saga of this function."""
        ...


def saga(
    name: str,
    *,
    version: int = 1,
    deadline: Duration | None = None,
    steps: Iterable[Step[..., Any]] = (),
    signals: Iterable[Signal[Any]] = (),
) -> SagaDecorator:
    """Make a saga of a module-level `async def` function with exactly one input.

    Args:
        name: with `version`, what a stored saga is found by; keep it when the function is renamed.
        version: raise it when the sequence of steps changes and old sagas must end by the old code.
        deadline: after it the saga turns backward when what is in flight is settled; None for none.
        steps: steps that the code reaches in a way that cannot be seen in it (through a registry, say).
        signals: signals that it waits for and that cannot be seen in it.

    Raises:
        DefinitionError: a deadline that is none. Everything else is told when the engine is built.
    """
    limit = None if deadline is None else duration(f"saga {name}", "deadline", deadline)

    def make(f: Callable[[In], Coroutine[Any, Any, Out]]) -> SagaDefinition[In, Out]:
        return SagaDefinition(f, name=name, version=version, deadline=limit, steps=steps, signals=signals)

    return make

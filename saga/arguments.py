"""A step's arguments as one JSON object, by parameter name, and back as typed values.

Rule that holds here: what is stored at the first call is what every attempt sends (S8), so defaults are
applied before it is stored, and a mutable argument that changes later changes nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from inspect import Parameter
from typing import Any

from typing_extensions import TypedDict

from saga.errors import Unstorable
from saga.handlers import hints_of, own_parameters
from saga.values import Typed


class Arguments:
    """The parameters of one step, after the call.

    Raises:
        NameError, Untypable: an annotation that does not resolve, or that has no JSON.
    """

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        parameters = own_parameters(function)
        hints = hints_of(function)
        fields: dict[str, Any] = {p.name: hints.get(p.name, Any) for p in parameters}
        self._name = name
        self._signature = inspect.Signature(parameters)
        self._in_order = [p.name for p in parameters if p.kind is Parameter.POSITIONAL_OR_KEYWORD]
        self._typed: Typed[dict[str, Any]] = Typed(TypedDict("arguments", fields))  # type: ignore[operator]

    def encode(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """The canonical JSON text of the arguments, defaults applied.

        Raises:
            TypeError: they are not the step's parameters.
            ValueError: one is not of its type, or does not come back from its JSON.
            Unstorable: Postgres cannot hold one.
        """
        try:
            return self._typed.encode(self._bound(args, kwargs))
        except Unstorable as error:
            raise Unstorable(f"step {self._name}: {error}") from None
        except ValueError as error:
            raise ValueError(f"step {self._name}: {error}") from None

    def _bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        if not kwargs and len(args) == len(self._in_order) == len(self._signature.parameters):
            return dict(
                zip(self._in_order, args, strict=True)
            )  # as most calls are, without a long look at them
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"step {self._name}: {error}") from None
        bound.apply_defaults()
        return bound.arguments

    def decode(self, text: str) -> dict[str, Any]:
        """Typed values by parameter name.

        Raises:
            ValueError: the types have changed since it was stored.
        """
        try:
            return self._typed.decode(text)
        except ValueError as error:
            raise ValueError(f"step {self._name}: {error}") from None


def parameter_problems(function: Callable[..., Any]) -> list[str]:
    """What is wrong with a step's parameters, as sentences."""
    found: list[str] = []
    for parameter in own_parameters(function):
        if parameter.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
            found.append(f"parameter {parameter} has no fixed names: write the parameters out")
        elif parameter.kind is Parameter.POSITIONAL_ONLY:
            found.append(f"parameter {parameter.name} is positional-only: handlers get it by name")
        elif parameter.annotation is Parameter.empty:
            found.append(f"parameter {parameter.name} has no type: annotate it, values are stored by type")
    return found

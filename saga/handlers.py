"""The functions behind a step: its body, its probe, its compensation, and what their signatures must be.

Rule that holds here: a handler takes the step's own parameters, names and defaults alike, after the call
(and, in a compensation, after the result); one that needs none writes `*_: object, **__: object`.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from inspect import Parameter
from typing import Any, get_type_hints

if sys.version_info >= (3, 14):
    import annotationlib

    def signature_of(function: Callable[..., Any]) -> inspect.Signature:
        """The signature; annotations that do not resolve yet stay references, and are told elsewhere."""
        return inspect.signature(function, annotation_format=annotationlib.Format.FORWARDREF)
else:
    signature_of = inspect.signature

_NAMED = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


class Handler:
    """One function behind a step.

    function: as it was written. is_async: run it on a loop; else it blocks, and belongs in a thread.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.name: str = getattr(function, "__name__", repr(function))
        self.is_async = is_async(function)

    def problems(self, what: str, leading: Sequence[str], parameters: Sequence[Parameter]) -> list[str]:
        """Where this handler does not take the step's `parameters` after the `leading` ones, as sentences."""
        given = list(signature_of(self.function).parameters.values())
        wanted = {p.name: p for p in parameters}
        head, own = _parted(given, len(leading))
        if head is None or any(p.name in wanted for p in head):
            return [f"{what} {self.name}: its first parameters must be {', '.join(leading)}"]
        takes_any = any(p.kind is Parameter.VAR_KEYWORD for p in own)
        named = {p.name: p for p in own if p.kind in _NAMED}
        missing = [] if takes_any else [name for name in wanted if name not in named]
        wrong = [
            name
            for name, parameter in named.items()
            if name not in wanted or parameter.default != wanted[name].default
        ]
        if not missing and not wrong:
            return []
        shape = ", ".join([*leading, *(str(p.replace(annotation=Parameter.empty)) for p in parameters)])
        said = f"it must take ({shape}), names and defaults alike (or *_: object, **__: object)"
        return [f"{what} {self.name}: {said}; wrong here: {', '.join([*missing, *wrong])}"]


def _parted(given: list[Parameter], leading: int) -> tuple[list[Parameter] | None, list[Parameter]]:
    """The parameters that take the leading arguments, or None if they cannot; and the others."""
    positional = [p for p in given if p.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)]
    if len(positional) < leading and not any(p.kind is Parameter.VAR_POSITIONAL for p in given):
        return None, given
    head = positional[:leading]
    return head, [p for p in given if p not in head]


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling `function` gives a coroutine, also behind a decorator that uses functools.wraps."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(inspect.unwrap(function))


def own_parameters(function: Callable[..., Any]) -> list[Parameter]:
    """The parameters after the first, which is the call."""
    return list(signature_of(function).parameters.values())[1:]


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations, resolved; the return type is under "return".

    Raises:
        NameError: an annotation names something that is not there at run time.
    """
    return get_type_hints(function, include_extras=True)

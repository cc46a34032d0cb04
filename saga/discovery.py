"""Which steps a saga function can call, and which signals it waits for: found in its code, so that nobody has to list them.

Rules that hold here: nothing is executed, names are only looked up; what is referenced counts, whether it is
called or handed on (a fallback); a step that is found in no such way is listed by hand (`steps=`), and one
that is called without being found raises and never runs unseen.
"""

from __future__ import annotations

import dis
import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, cast

from saga.signals import Signal
from saga.steps import Step
from saga.values import is_a

_LOADS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"})
_ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_BETWEEN = frozenset({"CACHE", "EXTENDED_ARG", "PUSH_NULL", "NOP"})
_NOTHING = object()


def steps_in(function: Callable[..., Any]) -> list[Step[..., Any]]:
    """Every step that `function`, or a plain function that it uses, refers to; in the order of the code."""
    return [cast("Step[..., Any]", thing) for thing in _found_in(function) if isinstance(thing, Step)]


def signals_in(function: Callable[..., Any]) -> list[Signal[Any]]:
    """Every signal that it refers to, in the same way."""
    return [thing for thing in _found_in(function) if isinstance(thing, Signal)]


def _found_in(function: Callable[..., Any]) -> list[object]:
    home = function.__module__.partition(".")[0]
    found: list[object] = []
    seen: set[int] = set()
    waiting: list[Any] = [function]
    while waiting:
        thing = waiting.pop(0)
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, Step | Signal):
            found.append(cast("object", thing))
        elif isinstance(thing, FunctionType):
            if thing is function or _may_call_steps(thing, home):
                waiting.extend(_referred(thing))
        else:
            waiting.extend(_inside(thing))
    return found


def _inside(thing: Any) -> Any:
    """An iterable of what a container or a wrapper holds; of nothing for anything else."""
    if is_a(thing, list, tuple, set, frozenset):
        return thing
    if is_a(thing, dict):
        return thing.values()
    if is_a(thing, functools.partial):
        return [thing.func]
    if is_a(thing, staticmethod, classmethod, MethodType):
        return [thing.__func__]
    return ()


def _may_call_steps(function: FunctionType, home: str) -> bool:
    """Whether it is a user's code: libraries call no steps, and walking them would take long."""
    top = (function.__module__ or "").partition(".")[0]
    if top == home:
        return True
    if top in sys.stdlib_module_names or top == "saga":
        return False
    place = function.__code__.co_filename
    return "site-packages" not in place and "dist-packages" not in place


def _referred(function: FunctionType) -> Iterator[Any]:
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    for code in _codes(function.__code__):
        yield from _names(code, _free(function), function.__globals__)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _free(function: FunctionType) -> dict[str, Any]:
    """What the function's closure holds; an empty cell is a name that is bound later."""
    held: dict[str, Any] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            held[name] = cell.cell_contents
        except ValueError:
            continue
    return held


def _names(code: CodeType, free: dict[str, Any], variables: dict[str, Any]) -> Iterator[Any]:
    """The objects behind `name` and `name.attribute…` in `code`, looked up and never computed."""
    here: Any = _NOTHING
    for instruction in dis.get_instructions(code):
        if instruction.opname in _LOADS:
            here = free.get(instruction.argval, variables.get(instruction.argval, _NOTHING))
        elif instruction.opname in _ATTRIBUTES:
            here = _NOTHING if here is _NOTHING else _attribute(here, instruction.argval)
        elif instruction.opname not in _BETWEEN:
            here = _NOTHING
        if here is not _NOTHING and not isinstance(here, ModuleType):
            yield here


def _attribute(thing: Any, name: str) -> Any:
    return inspect.getattr_static(thing, name, _NOTHING)


def by_name(steps: Iterable[Step[..., Any]]) -> tuple[dict[str, Step[..., Any]], list[str]]:
    """The steps by name, and a sentence for every name that two different steps share."""
    named: dict[str, Step[..., Any]] = {}
    problems: list[str] = []
    for one in steps:
        other = named.setdefault(one.name, one)
        if other is not one:
            where = f"{other.function.__module__} and {one.function.__module__}"
            problems.append(f"two steps are named {one.name} (in {where}): give one of them name=")
    return named, problems


def by_signal_name(signals: Iterable[Signal[Any]]) -> tuple[dict[str, Signal[Any]], list[str]]:
    """The signals by name, and a sentence for every name that two different signals share."""
    named: dict[str, Signal[Any]] = {}
    twice = [one.name for one in signals if named.setdefault(one.name, one) is not one]
    return named, [f"two signals are named {name}: make it one, or rename one" for name in twice]

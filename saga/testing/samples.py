"""A value of a type, where a simulated service must reply with one and nobody said which.

Rule that holds here: the same type gives the same value; what cannot be made up is an error that says how to say it.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import types
import typing
import uuid
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin

from saga.errors import SagaError

_PLAIN: dict[Any, Any] = {
    int: 1, float: 1.0, bool: True, bytes: b"", types.NoneType: None, None: None, object: None, Any: None,
    decimal.Decimal: decimal.Decimal(1), uuid.UUID: uuid.UUID(int=1),
    dt.datetime: dt.datetime(2030, 1, 1, tzinfo=dt.UTC), dt.date: dt.date(2030, 1, 1), dt.time: dt.time(12),
    dt.timedelta: dt.timedelta(seconds=1),
}  # fmt: skip
_HOLDS = (list, tuple, dict, set, frozenset)


class NoSample(SagaError):
    """No value of this type can be made up."""


def sample(kind: Any, text: str) -> Any:
    """A value of this type; `text` wherever it wants a str.

    Raises:
        NoSample: say what the service replies: `world.on(step).returns(value)`.
    """
    try:
        return _sample(kind, text)
    except RecursionError:  # a type that needs another of its own kind
        raise _none(kind) from None


def _sample(kind: Any, text: str) -> Any:
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Annotated:  # first, because what it is annotated with may have no hash
        return _sample(inside[0], text)
    if origin is Literal:
        return inside[0]
    if kind is str:
        return text
    if kind in _PLAIN:
        return _PLAIN[kind]
    if isinstance(kind, NewType):
        return _sample(kind.__supertype__, text)
    if origin in (Union, types.UnionType):
        return _sample(next(one for one in inside if one is not types.NoneType), text)
    if kind in _HOLDS or origin in _HOLDS:
        return _filled(origin or kind, inside, text)
    if isinstance(origin or kind, type):
        return _made(origin or kind, text)
    if hasattr(kind, "__value__"):  # `type Name = …`
        return _sample(kind.__value__, text)
    raise _none(kind)


def _filled(kind: Any, inside: tuple[Any, ...], text: str) -> Any:
    return kind([_sample(one, text) for one in inside] if _is_fixed(kind, inside) else [])


def _is_fixed(kind: object, inside: tuple[Any, ...]) -> bool:
    """Whether it is a tuple of so many values, one by one."""
    return kind is tuple and bool(inside) and inside[-1] is not Ellipsis


def _made(kind: Any, text: str) -> Any:
    if issubclass(kind, enum.Enum):
        return next(iter(kind))
    fields = _fields(kind)
    if fields is None:
        raise _none(kind)
    try:
        return kind(**{name: _sample(of, text) for name, of in fields.items()})
    except (TypeError, ValueError):
        raise _none(kind) from None


def _fields(kind: Any) -> dict[str, Any] | None:
    """The fields that have no default, of a dataclass, a pydantic model, a TypedDict or a NamedTuple."""
    model: dict[str, Any] | None = getattr(kind, "model_fields", None)
    if model is not None:
        return {name: field.annotation for name, field in model.items() if field.is_required()}
    try:
        hints = typing.get_type_hints(kind)
    except NameError:
        return None
    if dataclasses.is_dataclass(kind):
        missing = dataclasses.MISSING
        return {
            field.name: hints[field.name]
            for field in dataclasses.fields(kind)
            if field.init and field.default is missing and field.default_factory is missing
        }
    if typing.is_typeddict(kind):
        needed: frozenset[str] = kind.__required_keys__
        return {name: of for name, of in hints.items() if name in needed}
    return hints if hasattr(kind, "_fields") else None


def _none(kind: Any) -> NoSample:
    name = getattr(kind, "__name__", kind)
    return NoSample(f"no value of {name} can be made up: say it with world.on(step).returns(value)")

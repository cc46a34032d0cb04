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
from typing import Any, Literal, Union, get_args, get_origin

from saga.errors import SagaError

_PLAIN: dict[Any, Any] = {
    int: 1, float: 1.0, bool: True, bytes: b"", types.NoneType: None, None: None, object: None, Any: None,
    decimal.Decimal: decimal.Decimal(1), uuid.UUID: uuid.UUID(int=1),
    dt.datetime: dt.datetime(2030, 1, 1, tzinfo=dt.UTC), dt.date: dt.date(2030, 1, 1), dt.time: dt.time(12),
    dt.timedelta: dt.timedelta(seconds=1),
}  # fmt: skip
_EMPTY = (list, tuple, dict, set, frozenset)


class NoSample(SagaError):
    """No value of this type can be made up."""


def sample(kind: Any, text: str) -> Any:
    """A value of this type; `text` wherever it wants a str.

    Raises:
        NoSample: say what the service replies: `world.on(step).returns(value)`.
    """
    origin, inside = get_origin(kind), get_args(kind)
    if kind is str:
        return text
    if kind in _PLAIN:
        return _PLAIN[kind]
    if origin is typing.Annotated:
        return sample(inside[0], text)
    if origin is Literal:
        return inside[0]
    if origin in (Union, types.UnionType):
        return sample(inside[0], text)
    if kind in _EMPTY or origin in _EMPTY:
        return _empty(origin or kind, inside, text)
    if isinstance(kind, type):
        return _made(kind, text)
    raise _none(kind)


def _empty(kind: Any, inside: tuple[Any, ...], text: str) -> Any:
    if kind is tuple and inside and inside[-1] is not Ellipsis:
        return tuple(sample(one, text) for one in inside)
    return kind()


def _made(kind: type, text: str) -> Any:
    if issubclass(kind, enum.Enum):
        return next(iter(kind))
    fields = _fields(kind)
    if fields is None:
        raise _none(kind)
    try:
        return kind(**{name: sample(of, text) for name, of in fields.items()})
    except ValueError:
        raise _none(kind) from None


def _fields(kind: type) -> dict[str, Any] | None:
    """The fields that have no default, of a dataclass, a pydantic model, a TypedDict or a NamedTuple."""
    model: dict[str, Any] | None = getattr(kind, "model_fields", None)
    if model is not None:
        return {name: field.annotation for name, field in model.items() if field.is_required()}
    hints = typing.get_type_hints(kind)
    if dataclasses.is_dataclass(kind):
        given = (dataclasses.MISSING,)
        return {
            field.name: hints[field.name]
            for field in dataclasses.fields(kind)
            if field.init and field.default in given and field.default_factory in given
        }
    if typing.is_typeddict(kind) or hasattr(kind, "_fields"):
        return hints
    return None


def _none(kind: Any) -> NoSample:
    name = getattr(kind, "__name__", kind)
    return NoSample(f"no value of {name} can be made up: say it with world.on(step).returns(value)")

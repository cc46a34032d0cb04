"""Typed values to JSON text and back, by pydantic.

Rules that hold here: nothing is pickled; a value is checked against its type before it is written, strictly
and then by reading the text back, so that what is stored can always be replayed; the text is canonical (keys
and sets in order), so that equal values have equal hashes in every process.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar, cast

from pydantic import (
    PydanticSchemaGenerationError,
    PydanticUndefinedAnnotation,
    PydanticUserError,
    TypeAdapter,
    ValidationError,
)
from typing_extensions import is_typeddict

from saga.errors import InputError, TooLarge, Unstorable

T = TypeVar("T")

LIMIT = 1024 * 1024
"""The most bytes of one value's JSON text: an input, a step's arguments, a result."""
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_NO_NUMBER = "a number is NaN or infinite, which JSON cannot hold: use None or a text"


class Untypable(Exception):
    """pydantic cannot make JSON of this type; the message is one sentence."""


class Typed(Generic[T]):
    """One type, and its way to JSON text and back.

    Raises:
        Untypable: pydantic knows no JSON for it.
    """

    def __init__(self, annotation: Any) -> None:
        self._exact = _exact(annotation)
        try:
            self._adapter: TypeAdapter[T] = TypeAdapter(annotation)
        except (
            PydanticSchemaGenerationError,
            PydanticUndefinedAnnotation,
            PydanticUserError,
            NameError,
        ) as error:
            raise Untypable(str(error).splitlines()[0].rstrip(".")) from None

    def encode(self, value: T) -> str:
        """The canonical JSON text of `value`.

        Raises:
            ValueError: it is not of this type, or does not come back from its JSON; the message is pydantic's.
            Unstorable: Postgres cannot hold it (NaN, NUL, a lone surrogate).
            TooLarge: its text is over 1 MiB.
        """
        if self._exact is not None and _is_exactly(value, self._exact):
            return canonical(value)  # there is nothing to check that this does not
        try:
            self._adapter.validate_python(value, strict=True)
            data = self._adapter.dump_python(
                value, mode="json", round_trip=True, by_alias=False, warnings="error"
            )
            plain = self._adapter.dump_python(value, round_trip=True, by_alias=False)
            text = canonical(_in_order(plain, data))
            self._adapter.validate_json(text, by_alias=False, by_name=True)
        except ValidationError as error:
            raise ValueError(said(error)) from None
        except (Unstorable, TooLarge):
            raise
        except ValueError as error:
            raise ValueError(self._why(value, error)) from None
        return text

    def _why(self, value: T, error: ValueError) -> str:
        """What is wrong with a value that does not serialize, rather as reading it back says it."""
        try:
            self._adapter.validate_json(
                self._adapter.dump_json(value, by_alias=False, warnings=False), by_name=True
            )
        except ValidationError as told:
            return said(told)
        except ValueError:
            pass
        return " ".join(str(error).split())

    def decode(self, text: str) -> T:
        """The value that `text` was made from.

        Raises:
            ValueError: the type has changed since, and does not take this text; the message is pydantic's.
        """
        try:
            return self._adapter.validate_json(text, by_alias=False, by_name=True)
        except ValidationError as error:
            raise ValueError(said(error)) from None

    def read(self, text: str) -> T:
        """The value in JSON text that a person or another program wrote: aliases are welcome.

        Raises:
            ValueError: it is not JSON, or not of this type; the message is pydantic's.
        """
        try:
            return self._adapter.validate_json(text, by_alias=True, by_name=True)
        except ValidationError as error:
            raise ValueError(said(error)) from None

    def admits_none(self) -> bool:
        """Whether None is a value of this type."""
        try:
            self._adapter.validate_python(None, strict=True)
        except ValidationError:
            return False
        return True


def _is_plain(annotation: Any) -> bool:
    return any(annotation is kind for kind in (str, int, bool))  # what stands there need not be hashable


def _exact(annotation: Any) -> type | dict[str, type] | None:
    """The one type whose values are their own JSON, or that of each field of a TypedDict; None for all others."""
    if _is_plain(annotation):
        return cast("type", annotation)
    if not is_typeddict(annotation) or hasattr(annotation, "__pydantic_config__"):
        return None  # a configuration may ask for more than the types do
    fields: dict[str, Any] = annotation.__annotations__
    plain = all(map(_is_plain, fields.values()))
    return fields if plain and annotation.__required_keys__ >= fields.keys() else None


def _is_exactly(value: object, exact: type | dict[str, type]) -> bool:
    """Whether a value is of this very type: what is derived from it may mean something else."""
    if not isinstance(exact, dict):
        return type(value) is exact
    if not is_a(value, dict):
        return False
    fields = cast("dict[str, object]", value)
    return fields.keys() == exact.keys() and all(type(fields[name]) is kind for name, kind in exact.items())


def canonical(data: Any) -> str:
    """JSON text with its keys in order and no spaces, as Postgres can hold it.

    Raises:
        Unstorable: NaN, an infinity, the character NUL, a lone surrogate.
        TooLarge: over 1 MiB.
    """
    try:
        text = _ENCODER.encode(data)
        size = len(text.encode())
    except UnicodeEncodeError:
        raise Unstorable(
            "a text holds half of a surrogate pair, which is no character: clean it first"
        ) from None
    except ValueError:
        raise Unstorable(_NO_NUMBER) from None
    if _NUL.search(text):
        raise Unstorable("a text holds the character NUL, which Postgres cannot store: remove it first")
    if size > LIMIT:
        raise TooLarge(
            f"{size:,} bytes of JSON are over the limit of 1 MiB: store it elsewhere, and give its address here"
        )
    return text


@contextmanager
def named(what: str) -> Generator[None]:
    """Around a value that a caller gave: what is wrong with it is told with its name.

    Raises:
        InputError: it has the wrong shape or cannot be stored; the message is pydantic's.
    """
    try:
        yield
    except ValueError as error:
        raise InputError(f"the {what} is wrong: {error}") from None


def said(error: ValidationError) -> str:
    """What pydantic says, in one line: where, and what is wrong, for every error in it."""
    parts: list[str] = []
    for one in error.errors(include_url=False, include_context=False, include_input=False):
        where = ".".join(str(part) for part in one["loc"])
        parts.append(f"{where}: {one['msg']}" if where else one["msg"])
    return "; ".join(parts)


def _in_order(value: Any, data: Any) -> Any:
    """`data` with what was a set in `value` sorted: a set's order differs between processes.

    pydantic makes null of a NaN where the type says `Any`, and nobody would notice.
    """
    if is_a(data, list) and is_a(value, set, frozenset):
        return sorted(data, key=canonical)
    if is_a(data, list) and is_a(value, list, tuple):
        return [_in_order(one, other) for one, other in zip(value, data, strict=False)]
    if is_a(data, dict) and is_a(value, dict):
        named = zip(value.values(), data.items(), strict=False)
        return {key: _in_order(one, other) for one, (key, other) in named}
    if data is None and is_a(value, float):
        raise Unstorable(_NO_NUMBER)
    return data


def is_a(value: object, *types: type) -> bool:
    """`isinstance` that narrows nothing: what is inside an `Any` stays `Any` to every type checker."""
    return isinstance(value, types)

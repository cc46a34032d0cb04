"""A value is stored by its type, canonically, and comes back as what it was."""

import math
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field, computed_field, with_config
from typing_extensions import TypedDict

from saga.errors import Unstorable
from saga.values import Typed, Untypable, canonical


@dataclass
class Line:
    sku: str
    quantity: int


@dataclass
class Order:
    id: UUID
    total: Decimal
    at: datetime
    lines: list[Line]
    tags: frozenset[str] = field(default_factory=frozenset)


class Aliased(BaseModel):
    model_config = ConfigDict(extra="forbid")
    card: str = Field(alias="cardNumber")

    @computed_field
    def last(self) -> str:
        return self.card[-4:]


class Options(TypedDict):
    gift: bool


ORDER = Order(
    UUID(int=7), Decimal("10.50"), datetime(2026, 1, 2, tzinfo=UTC), [Line("b", 2)], frozenset({"z", "a"})
)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Order, ORDER),
        (Options, {"gift": True}),
        (Aliased, Aliased(cardNumber="4242424242424242")),
        (None, None),
        (float, 1),
        (dict[int, set[str]], {3: {"b", "a"}}),
        (tuple[int, ...], (3, 1)),
        (Literal["a"], "a"),
        (str, 'a backslash \\u0000, an emoji 🧾, "quotes"'),
    ],
)
def test_a_value_comes_back(annotation: Any, value: Any) -> None:
    """What was written is what is read, aliases, computed fields and backslashes included."""
    typed: Typed[Any] = Typed(annotation)
    text = typed.encode(value)
    assert typed.decode(text) == value
    assert typed.encode(typed.decode(text)) == text


def test_the_text_is_canonical() -> None:
    """Keys and sets in order, no spaces: equal values have equal hashes."""
    assert Typed[Order](Order).encode(ORDER) == (
        '{"at":"2026-01-02T00:00:00Z","id":"00000000-0000-0000-0000-000000000007",'
        '"lines":[{"quantity":2,"sku":"b"}],"tags":["a","z"],"total":"10.50"}'
    )


def test_the_order_of_a_set_is_the_same_in_every_process() -> None:
    """A set of texts iterates by a random hash; its stored form must not, or a replay would not fit."""
    code = (
        "from saga.values import Typed\n"
        "print(Typed(dict[str, list[set[str]]]).encode({'a': [set('abcdefgh')]}))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert texts == {'{"a":[["a","b","c","d","e","f","g","h"]]}\n'}


@pytest.mark.parametrize(
    ("annotation", "value", "said"),
    [
        (Order, {"id": 1}, "Input should be an instance of Order"),
        (Decimal, 1.5, "instance of Decimal"),
        (int, "5", "valid integer"),
        (list[Line], [Line("a", "x")], "quantity"),  # type: ignore[arg-type]
        (None, 1, "should be None"),
    ],
)
def test_another_type_is_refused_in_pydantics_words(annotation: Any, value: Any, said: str) -> None:
    """Nothing is coerced on its way in; also not deep inside a dataclass, which pydantic takes as it is."""
    with pytest.raises(ValueError, match=said):
        Typed(annotation).encode(value)


@pytest.mark.parametrize(
    ("value", "said"),
    [(math.nan, "NaN"), (math.inf, "NaN or infinite"), ("a\0b", "NUL"), ("\ud800", "surrogate")],
)
def test_what_postgres_cannot_hold_is_refused(value: Any, said: str) -> None:
    """With a sentence that says what to do, and before a row is written."""
    with pytest.raises(Unstorable, match=said):
        Typed[Any](Any).encode([value])


def test_a_backslash_before_u0000_is_no_nul() -> None:
    """Only the escape is one, not the text that looks like it."""
    assert canonical("\\u0000") == '"\\\\u0000"'


def test_a_type_without_json_is_told_in_one_line() -> None:
    """And not as a traceback of pydantic."""
    with pytest.raises(Untypable, match="Unable to generate pydantic-core schema") as told:
        Typed(type("Opaque", (), {}))
    assert "\n" not in str(told.value)


def test_text_from_outside_may_use_aliases() -> None:
    """What a person types has the names of the public model; what we stored has the fields'."""
    typed = Typed[Aliased](Aliased)
    assert typed.read('{"cardNumber":"42"}') == typed.decode('{"card":"42"}') == Aliased(cardNumber="42")
    with pytest.raises(ValueError, match="Invalid JSON"):
        typed.read("{")


def test_none_is_admitted_only_by_types_that_say_so() -> None:
    """`in_doubt="accept"` gives None, so its type must have it."""
    assert Typed[Any](None).admits_none()
    assert Typed[Any](int | None).admits_none()
    assert not Typed[Any](str).admits_none()


@with_config(ConfigDict(str_max_length=3))
class Short(TypedDict):
    word: str


class Unhashable:
    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = None  # type: ignore[assignment]


class Noted(TypedDict):
    word: Annotated[str, Unhashable()]


def test_a_configured_dictionary_is_checked_in_full() -> None:
    """Its fields are plain texts, and its configuration asks for more."""
    with pytest.raises(ValueError, match="at most 3 characters"):
        Typed[Short](Short).encode({"word": "long"})


def test_what_is_noted_of_a_field_may_be_anything() -> None:
    """A note that cannot be hashed stops no definition."""
    assert Typed[Noted](Noted).encode({"word": "w"}) == '{"word":"w"}'

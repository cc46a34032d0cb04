"""A step's handlers take its parameters, and what undoes it can be settled like it."""

from collections.abc import Callable
from typing import Any

import pytest

from saga import Answer, Call, DefinitionError, NotFound
from saga.registry import Registry
from tests.support.definitions import keeper, problems, saga_of, sound, undone


def test_a_compensation_must_be_askable_or_deduplicated_too() -> None:
    """It can be in doubt like its step; who has read what that means says at_most_once."""
    book = undone()

    async def undo(call: Call, result: str, order: str, seats: int = 1) -> None: ...

    unbook = book.compensate(undo)
    assert problems(saga_of(book)) == [
        (
            "step book: its compensation undo can neither be asked nor repeated: add @undo.status, a service "
            "that remembers keys, or at_most_once=True (in doubt it then waits for a person)"
        )
    ]

    async def undo_status(*_: object, **__: object) -> Answer[None]:
        return NotFound()

    unbook.status(undo_status)
    Registry([saga_of(book)])
    careful = undone(at_most_once=True)
    careful.compensate(undo)
    Registry([saga_of(careful)])


async def other_name(call: Call, result: str, commande: str, seats: int = 1) -> None: ...


async def other_default(call: Call, result: str, order: str, seats: int = 2) -> None: ...


async def one_missing(call: Call, result: str, order: str) -> None: ...


async def no_result(call: Call) -> None: ...


@pytest.mark.parametrize(
    ("handler", "said"),
    [
        (other_name, "wrong here: order, commande"),
        (other_default, "wrong here: seats"),
        (one_missing, "it must take (call, result, order, seats=1), names and defaults alike"),
        (no_result, "its first parameters must be call, result"),
    ],
)
def test_handlers_take_the_steps_parameters(handler: Callable[..., Any], said: str) -> None:
    """Names and defaults alike, because they are called by name."""
    book = undone(service=keeper)
    book.compensate(handler)
    assert said in problems(saga_of(book))[0]


def test_a_handler_that_needs_none_says_so() -> None:
    """`*_: object, **__: object` takes whatever the step takes."""
    book = undone(service=keeper)

    def unbook(call: Call, result: str, *_: object, **__: object) -> None: ...

    book.compensate(unbook)
    Registry([saga_of(book)])


def test_contradictions_are_told() -> None:
    """What was said twice, or against itself."""
    book = undone(undo="nothing")
    book.compensate(other_name)
    book.compensate(other_name)
    book.status(one_missing)
    told = "\n".join(problems(saga_of(book)))
    assert 'it has a compensation and says undo="nothing": keep one' in told
    assert "there is a second @book.compensate, other_name" in told
    assert "there is a second @book.status, one_missing" in told
    with pytest.raises(DefinitionError, match="both reads=True and repeatable=True"):
        sound(reads=True, repeatable=True)
    reader = undone(reads=True)
    assert "reads=True is retried freely and never asked about" in problems(saga_of(reader))[0]

"""Definitions made for one test: sound but for what the test is about."""

from typing import Any

import pytest

from saga import Answer, Call, DefinitionError, NotFound, Service, saga, step
from saga.definition import SagaDefinition
from saga.registry import Registry

forgetful = Service("forgetful")
keeper = Service("keeper", remembers="all", key_lifetime="24h")


def saga_of(*steps: Any, name: str = "one", version: int = 1) -> SagaDefinition[str, None]:
    @saga(name, version=version, steps=steps)
    async def one(order: str) -> None: ...

    return one


def problems(*definitions: Any) -> list[str]:
    with pytest.raises(DefinitionError) as told:
        Registry(definitions)
    return told.value.problems


def loosely(decorator: Any) -> Any:
    """A decorator that no type checker looks into: what it would catch is what these tests are about."""
    return decorator


def sound(**options: Any) -> Any:
    """A step whose only problems are those of `options`."""

    @step(**{"service": keeper, "timeout": "1s", "undo": "nothing", **options})
    async def one(call: Call, order: str) -> None: ...

    return one


def undone(**options: Any) -> Any:
    @step(**{"service": forgetful, "timeout": "1s", "watch_for": "1h", **options})
    async def book(call: Call, order: str, seats: int = 1) -> str:
        return order

    @book.status
    async def book_status(call: Call, order: str, seats: int = 1) -> Answer[str]:
        return NotFound()

    return book

"""What cannot be stored or has the wrong shape is refused at `start`, with one sentence, before a row is written."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from saga import Engine, InputError, SagaError, Unstorable, saga
from saga_worker import Worker
from tests.support import rows
from tests.support.fakes import Ledger, make_step

MEBIBYTE = 1024 * 1024
ledger = Ledger()
reserve = make_step(ledger, "reserve")


@dataclass
class Order:
    id: str
    amount: Decimal = Decimal("1.50")
    weight: float = 1.0
    notes: Any = None


@saga("checkout")
async def checkout(order: Order) -> str:
    return await reserve(order.id)


@saga("echo")
async def echo(size: int) -> str:
    return "x" * size


@saga("shouting")
async def shouting(size: int) -> str:
    return await reserve("x" * size)


@pytest.fixture
async def engine(database_url: str) -> AsyncGenerator[Engine]:
    async with Engine(database_url, sagas=[checkout, echo, shouting]) as made:
        yield made


def nothing_was_written(engine: Engine) -> bool:
    return rows.select(engine.url, "SELECT 1 FROM saga.saga") == []


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (Order("a\x00b"), "NUL"),
        (Order("a\ud800b"), "surrogate"),
        (Order("a", weight=float("nan")), "NaN or infinite"),
        (Order("a", weight=float("inf")), "NaN or infinite"),
        (Order("a", notes=[float("nan")]), "NaN or infinite"),
        (Order("a", notes={"deep": ["\x00"]}), "NUL"),
        (Order("a", notes="x" * MEBIBYTE), "1 MiB"),
        (Order("a", notes="é" * (MEBIBYTE // 2)), "1 MiB"),
        (Order("a", amount="much"), "amount"),  # type: ignore[arg-type]
        (Order(None), "id"),  # type: ignore[arg-type]
        ({"id": "a"}, "Order"),
    ],
)
async def test_input_that_cannot_be_stored_is_refused_in_one_sentence(
    engine: Engine, order: Any, said: str
) -> None:
    """NUL, surrogates, NaN, more than 1 MiB and wrong shapes: an InputError of one line that names the fault."""
    with pytest.raises(InputError, match=said) as caught:
        await engine.start(checkout, order, key="k")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert nothing_was_written(engine)


async def test_input_of_almost_a_mebibyte_is_taken(engine: Engine) -> None:
    """The limit is what it says: a little less is stored and read back."""
    order = Order("big", notes="x" * (MEBIBYTE - 200))
    async with Worker(engine, lease="3s"):
        handle = await engine.start(checkout, order, key="big")
        assert await handle.result("10s") == "big done"


@pytest.mark.parametrize("key", ["", "k" * 501, "a\x00b", "a\ud800"])
async def test_a_key_that_cannot_be_stored_is_refused(engine: Engine, key: str) -> None:
    """Empty, over-long and unstorable keys are one sentence that says what to choose."""
    with pytest.raises(Unstorable, match="choose"):
        await engine.start(checkout, Order("a"), key=key)
    assert nothing_was_written(engine)


async def test_the_longest_key_is_taken(engine: Engine) -> None:
    """500 characters, of whatever script, fit the index."""
    key = "鍵" * 500
    handle = await engine.start(checkout, Order("a"), key=key)
    assert (await engine.handle(checkout, key=key).view()).id == handle.id


async def test_an_output_over_the_limit_parks(engine: Engine) -> None:
    """A saga function that returns more than 1 MiB is code that failed: a person looks, nothing is lost."""
    async with Worker(engine, lease="3s"):
        await engine.start(echo, MEBIBYTE, key="k")
        row = await rows.parked(engine.url, "k")
    assert row["park_cause"] == "code_failed"
    assert "1 MiB" in row["park_reason"]


async def test_arguments_over_the_limit_park_before_any_call(engine: Engine) -> None:
    """A step called with more than 1 MiB is code that failed, and the service is never called."""
    async with Worker(engine, lease="3s"):
        await engine.start(shouting, MEBIBYTE, key="k")
        row = await rows.parked(engine.url, "k")
    assert row["park_cause"] == "code_failed"
    assert "1 MiB" in row["park_reason"]
    assert rows.effects_of(engine.url, "k") == {}


async def test_a_wrong_kind_of_input_names_the_saga(engine: Engine) -> None:
    """The sentence says which saga's input is wrong, and is a SagaError like all others."""
    with pytest.raises(SagaError, match="the input of saga checkout is wrong"):
        await engine.start(checkout, 7, key="k")  # type: ignore[misc]

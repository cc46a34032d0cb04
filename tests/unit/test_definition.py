"""A saga's steps are found in its code, and its input and output are stored by type."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

import tests.support.shop
from saga import Call, InputError, Step, StepCall, saga, step
from saga.definition import SagaDefinition
from tests.support import shop
from tests.support.shop import Payment, charge, confirm, invoice, psp


@dataclass
class Order:
    id: str
    total: Decimal


def names(definition: SagaDefinition[Any, Any]) -> list[str]:
    return sorted(definition.steps)


async def settle(order: Order) -> None:
    await confirm(order.id, [])


def pay_later() -> StepCall[Payment]:
    return invoice("me")


BY_KIND: dict[str, Any] = {"card": charge, "later": invoice}
NAMESPACE = SimpleNamespace(pay=charge)


def test_steps_are_found_where_they_are_called() -> None:
    """In the function, in a lambda, in a comprehension, and in plain functions that it calls or hands on."""

    @saga("checkout")
    async def checkout(order: Order) -> None:
        await charge("c", order.total).or_else(pay_later)
        await settle(order)

    @saga("lambda")
    async def by_lambda(order: Order) -> None:
        await charge("c").or_else(lambda: invoice(order.id))
        notes = [confirm(order.id, [note]) for note in "ab"]
        for one in notes:
            await one

    assert names(checkout) == ["charge", "confirm", "invoice"]
    assert names(by_lambda) == ["charge", "confirm", "invoice"]


def test_steps_are_found_behind_modules_and_containers() -> None:
    """`module.step`, `package.module.step`, a dict of steps, an attribute of an object."""

    @saga("modules")
    async def modules(order: Order) -> None:
        await shop.charge(order.id)
        await tests.support.shop.confirm(order.id, [])

    @saga("containers")
    async def containers(order: Order) -> None:
        await BY_KIND[order.id]("c")

    @saga("attribute")
    async def attribute(order: Order) -> None:
        await NAMESPACE.pay(order.id)

    assert names(modules) == ["charge", "confirm"]
    assert names(containers) == ["charge", "invoice"]
    assert names(attribute) == ["charge"]


def test_only_what_is_referred_to_is_found() -> None:
    """Another step of a module that the saga uses is none of its steps."""

    @saga("one")
    async def one(order: Order) -> None:
        await shop.charge(order.id)

    assert names(one) == ["charge"]


def test_steps_are_found_behind_wrappers() -> None:
    """A decorated helper, a partial, a default argument, a step of the enclosing function."""

    @step(psp, timeout="1s", undo="nothing")
    async def local(call: Call) -> None: ...

    def traced(f: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(f)
        def wrapper(*args: Any) -> Any:
            return f(*args)

        return wrapper

    @traced
    def helper(order: Order) -> Any:
        return charge(order.id)

    later = functools.partial(pay_later)

    async def told(order: Order, how: Step[..., None] = confirm) -> None:
        await how(order.id, [])

    @saga("wrapped")
    async def wrapped(order: Order) -> None:
        await helper(order)
        await later()
        await told(order)
        await local()

    assert names(wrapped) == ["charge", "confirm", "invoice", "local"]


def test_a_step_that_cannot_be_seen_is_listed_by_hand() -> None:
    """And one that is not listed is refused by a sentence when it is called."""

    @saga("hidden")
    async def hidden(order: Order) -> None:
        await getattr(shop, order.id)("c")

    @saga("listed", steps=[charge])
    async def listed(order: Order) -> None:
        await getattr(shop, order.id)("c")

    assert names(hidden) == []
    with pytest.raises(
        RuntimeError, match=r"charge is not among the steps of saga hidden: add steps=\[charge\]"
    ):
        hidden.require(charge)
    listed.require(charge)


def test_input_and_output_are_stored_by_type() -> None:
    """Canonical text out, typed values in."""

    @saga("checkout", version=3, deadline="30m")
    async def checkout(order: Order) -> Payment:
        return await charge(order.id)

    assert (checkout.name, checkout.version, checkout.deadline and checkout.deadline.seconds) == (
        "checkout",
        3,
        1800,
    )
    order = Order("o1", Decimal("2.50"))
    text = checkout.encode_input(order)
    assert text == '{"id":"o1","total":"2.50"}'
    assert checkout.decode_input(text) == order
    paid = Payment("p", Decimal(1))
    assert checkout.decode_output(checkout.encode_output(paid)) == paid


def test_a_wrong_input_is_refused_in_pydantics_words() -> None:
    """Before a row is written; from Python and from text alike."""

    @saga("checkout")
    async def checkout(order: Order) -> None: ...

    with pytest.raises(
        InputError, match="the input of saga checkout is wrong: Input should be an instance of Order"
    ):
        checkout.encode_input({"id": "o1"})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="total: Input should be a valid decimal"):
        checkout.encode_input(Order("o1", "much"))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="total: Field required"):
        checkout.read_input('{"id":"o1"}')
    with pytest.raises(InputError, match="Invalid JSON"):
        checkout.read_input("id=o1")


def test_a_steps_promises_and_policy_are_plain_values_of_the_core() -> None:
    """`can_probe` follows the status handler; a compensation has its step's budgets and no deadline of attempts."""
    assert charge.service.promises.dedups
    assert charge.policy.can_probe
    assert not invoice.policy.can_probe
    assert charge.compensation is not None
    assert charge.compensation.policy.timeout == charge.policy.timeout
    assert charge.compensation.policy.retry.give_up is None
    assert charge.compensation.policy.can_probe

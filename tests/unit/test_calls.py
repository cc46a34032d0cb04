"""A step that was called: fixed when it is called, begun when it is awaited, settled before it is cancelled."""

import asyncio
import gc
import inspect
import warnings
from decimal import Decimal

import pytest

from saga import Call, NotExecuted, Refused, StepFailed, step
from tests.support.flow import HandFlow, idle
from tests.support.shop import Payment, charge, confirm, invoice, psp, refund

PAID = Payment("p1", Decimal(1))


async def test_a_step_begins_when_it_is_awaited_and_gives_its_result() -> None:
    """Calling fixes the identity; nothing begins before the first await."""
    flow = HandFlow()
    gate = asyncio.Event()

    async def saga() -> Payment:
        call = charge("4242")
        assert call.identity == "charge#1"
        await gate.wait()
        return await call

    run = await flow.run(saga)
    assert flow.begun == {}
    gate.set()
    await idle()
    assert list(flow.begun) == ["charge#1"]
    await flow.give("charge#1", PAID)
    assert await run is PAID


async def test_arguments_are_fixed_when_the_step_is_called() -> None:
    """A list that grows between call and await is sent as it was (S8)."""
    flow = HandFlow()

    async def saga() -> None:
        notes = ["a"]
        call = confirm("c@d.example", notes)
        notes.append("b")
        await call

    run = await flow.run(saga)
    assert flow.arguments == {"confirm#1": '{"email":"c@d.example","notes":["a"]}'}
    await flow.give("confirm#1", None)
    await run


async def test_wrong_arguments_take_no_identity() -> None:
    """The next call of the step has the number that this one would have had."""
    flow = HandFlow()

    async def saga() -> str:
        with pytest.raises(ValueError, match="step charge: amount: Input should be an instance of Decimal"):
            charge("4242", "1")  # type: ignore[arg-type, unused-awaitable]
        with pytest.raises(TypeError, match="step charge: missing a required argument: 'card'"):
            charge()  # type: ignore[call-arg, unused-awaitable]
        return charge("4242").identity

    assert await (await flow.run(saga)) == "charge#1"


async def test_a_call_never_awaited_can_be_told() -> None:
    """Also behind a fallback; and Python warns of no coroutine of ours."""
    flow = HandFlow()

    async def saga() -> None:
        first = charge("1")
        charge("2").or_none()  # type: ignore[unused-awaitable]
        await first

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = await flow.run(saga)
        await flow.give("charge#1", PAID)
        await run
        assert [call.identity for call in flow.calls if not call.awaited] == ["charge#2"]
        flow.calls.clear()
        gc.collect()


async def test_awaiting_twice_is_an_error_in_one_sentence() -> None:
    """An effect has one result, and a second await would be another effect to the reader."""
    flow = HandFlow()

    async def saga() -> None:
        call = charge("1")
        await call
        with pytest.raises(RuntimeError, match="charge#1 was awaited before: keep its result"):
            await call

    run = await flow.run(saga)
    await flow.give("charge#1", PAID)
    await run


def test_outside_a_saga_the_sentence_says_what_to_do() -> None:
    """And the plain function is one attribute away."""
    with pytest.raises(RuntimeError, match=r"step charge was called outside a running saga.*charge\.body\("):
        charge("1")  # type: ignore[unused-awaitable]


async def test_the_body_is_the_plain_function() -> None:
    """Sync and async alike."""
    assert await charge.body(Call.fake(key="k"), "c", Decimal(2)) == Payment("c/k", Decimal(2))
    assert await invoice.body(Call.fake(), "me") == Payment("me", Decimal(0))


async def test_cancelling_waits_until_the_effect_is_settled() -> None:
    """The engine is told at once that nobody wants it; the cancellation is delivered after the outcome."""
    flow = HandFlow()

    async def saga() -> Payment:
        return await charge("1")

    run = await flow.run(saga)
    run.cancel()
    await idle()
    run.cancel()
    await idle()
    assert not run.done()
    assert flow.told == [("unwanted", "charge#1")]
    await flow.give("charge#1", PAID)
    with pytest.raises(asyncio.CancelledError):
        await run


async def test_a_failure_that_comes_after_a_cancellation_is_not_complained_about() -> None:
    """The loop would print "exception was never retrieved", although the engine knows the outcome."""
    flow = HandFlow()
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    run = await flow.run(lambda: charge("1"))
    run.cancel()
    await idle()
    await flow.fail("charge#1", Refused("no"))
    with pytest.raises(asyncio.CancelledError):
        await run
    flow.begun.clear()
    del run
    gc.collect()
    assert complaints == []


async def test_a_task_cancelled_before_it_ran_begins_nothing() -> None:
    """As a coroutine would; the call counts as cared for."""
    flow = HandFlow()

    async def saga() -> None:
        task = asyncio.create_task(charge("1"))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    await (await flow.run(saga))
    assert flow.begun == {}
    assert [call.identity for call in flow.calls if call.awaited] == ["charge#1"]


async def test_a_fallback_cancelled_before_it_ran_forgets_nothing() -> None:
    """Its step was never awaited, and nobody is to blame: the task was cancelled."""
    flow = HandFlow()

    async def saga() -> None:
        task = asyncio.create_task(charge("1").or_else(lambda: PAID).or_none())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    await (await flow.run(saga))
    assert flow.begun == {}
    assert [call.identity for call in flow.calls if call.awaited] == ["charge#1"]


async def test_gather_and_task_groups_take_it() -> None:
    """It is a coroutine to asyncio."""
    flow = HandFlow()

    async def saga() -> tuple[str, str, str]:
        async with asyncio.TaskGroup() as group:
            third = group.create_task(charge("3"))
            first, second = await asyncio.gather(charge("1"), invoice("2"))
        return first.id, second.id, (await third).id

    run = await flow.run(saga)
    assert sorted(flow.begun) == ["charge#1", "charge#2", "invoice#1"]
    for identity in list(flow.begun):
        await flow.give(identity, Payment(identity, Decimal(1)))
    assert await run == ("charge#2", "invoice#1", "charge#1")


async def test_a_failed_sibling_in_a_task_group_lets_the_effect_settle() -> None:
    """The group's cancellation reaches the step, and is delivered when its outcome is known."""
    flow = HandFlow()

    async def saga() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(charge("1"))
            group.create_task(invoice("2"))

    run = await flow.run(saga)
    await flow.fail("charge#1", Refused("declined"))
    assert not run.done()
    assert flow.told == [("unwanted", "invoice#1")]
    await flow.give("invoice#1", PAID)
    with pytest.raises(ExceptionGroup) as failed:
        await run
    assert failed.group_contains(Refused)


@pytest.mark.parametrize("kind", ["step", "async", "value"])
async def test_a_fallback_runs_when_the_service_could_not_be_had(kind: str) -> None:
    """It is a step, an async function, or a plain function that gives the value."""
    flow = HandFlow()

    async def later() -> Payment:
        return PAID

    async def saga() -> Payment:
        match kind:
            case "step":
                return await charge("1").or_else(lambda: invoice("me"))
            case "async":
                return await charge("1").or_else(later)
            case _:
                return await charge("1").or_else(lambda: PAID)

    run = await flow.run(saga)
    assert list(flow.begun) == ["charge#1"]
    await flow.fail("charge#1", NotExecuted("down"))
    assert flow.told == [("degraded", "charge#1: down")]
    if kind == "step":
        await flow.give("invoice#1", PAID)
    assert await run == PAID


async def test_a_refusal_is_no_reason_to_fall_back_unless_it_is_said() -> None:
    """By default only what could not be had; the rest by choice, and the fallbacks chain."""
    flow = HandFlow()

    async def strict() -> Payment:
        return await charge("1").or_else(lambda: PAID)

    run = await flow.run(strict)
    await flow.fail("charge#1", Refused("declined"))
    with pytest.raises(Refused, match="declined"):
        await run

    async def lenient() -> Payment | None:
        return await charge("2").or_else(lambda: invoice("me"), on=StepFailed).or_none()

    second = await flow.run(lenient)
    await flow.fail("charge#2", Refused("declined"))
    await flow.fail("invoice#1", NotExecuted("down"))
    assert await second is None
    assert flow.told == [("degraded", "charge#2: declined"), ("degraded", "charge#2: down")]


async def test_a_bug_is_never_taken_for_a_failed_step() -> None:
    """`or_none` hides what a step may do, and nothing else."""
    flow = HandFlow()

    async def saga() -> None:
        await charge("1").or_none()

    run = await flow.run(saga)
    await flow.fail("charge#1", KeyError("bug"))
    with pytest.raises(KeyError):
        await run
    assert flow.told == []


def test_a_call_has_a_budget() -> None:
    """In seconds; spent, it says that nothing was sent."""
    call = Call.fake(timeout="30s")
    assert 29 < call.remaining() <= 30
    call.check()
    spent = Call.fake(timeout="0s")
    assert spent.remaining() == 0
    with pytest.raises(NotExecuted, match="before anything was sent") as told:
        spent.check()
    assert told.value.rule == "budget"


def test_handlers_are_invoked_with_the_steps_arguments_by_name() -> None:
    """Typed values, as stored at the first call."""
    stored = charge.encode_arguments(("4242",), {})
    arguments = charge.decode_arguments(stored)
    assert arguments == {"card": "4242", "amount": Decimal(1)}
    assert asyncio.run(charge.invoke(Call.fake(), arguments)).id == "4242/k"
    assert inspect.iscoroutinefunction(charge.probe and charge.probe.function)
    asyncio.run(charge.invoke_probe(Call.fake(), arguments))
    asyncio.run(refund.invoke(Call.fake(effect_key="f"), PAID, arguments))
    assert refund.probe is not None
    assert not refund.probe.is_async
    assert refund.invoke_probe(Call.fake(effect_key="f"), PAID, arguments).result is None


def test_a_wrapped_async_function_is_async() -> None:
    """A decorator with functools.wraps does not send a coroutine to a thread."""
    import functools
    from collections.abc import Callable, Coroutine
    from typing import Any

    def traced(f: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Coroutine[Any, Any, None]]:
        @functools.wraps(f)
        def wrapper(*args: Any, **kwargs: Any) -> Coroutine[Any, Any, None]:
            return f(*args, **kwargs)

        return wrapper

    @step(psp, timeout="1s", undo="nothing")
    @traced
    async def ping(call: Call) -> None: ...

    assert ping.is_async
    assert ping.name == "ping"

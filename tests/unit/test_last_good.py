"""`last_good` on a call: where it may stand, what it takes, and under what a value is kept."""

from datetime import timedelta

import pytest

from saga import Call, NotExecuted, step
from saga.calls import LastGood, StepCall
from saga.core.keys import last_good_hash
from tests.support.flow import HandFlow
from tests.support.shop import Payment, charge, psp


@step(psp, timeout="1s", reads=True)
async def look(call: Call, number: str) -> Payment:
    raise AssertionError("nothing runs here")


async def test_last_good_is_the_same_call() -> None:
    """It begins once, under its identity, and what stands behind it falls back when there was no value."""
    flow = HandFlow()

    async def saga() -> Payment | None:
        return await look("1").last_good(max_age="1h").or_none()

    run = await flow.run(saga)
    (call,) = flow.calls
    assert isinstance(call, StepCall)
    assert call.wants_last_good == LastGood(timedelta(hours=1), None)
    await flow.fail("look#1", NotExecuted("down"))
    assert await run is None
    assert flow.told == [("degraded", "look#1: down")]


async def test_last_good_says_what_makes_no_sense() -> None:
    """At once, in a sentence: on what does something, behind a fallback, twice, without a limit, for everybody."""
    flow = HandFlow()

    async def saga() -> None:
        with pytest.raises(RuntimeError, match="not reads=True"):
            charge("1").last_good(max_age="1h")  # type: ignore[unused-awaitable]
        with pytest.raises(RuntimeError, match="directly behind the call"):
            look("1").or_none().last_good(max_age="1h")  # type: ignore[unused-awaitable]
        with pytest.raises(RuntimeError, match="directly behind the call"):
            look("1").last_good(max_age="1h").last_good(max_age="2h")  # type: ignore[unused-awaitable]
        for wrong in ("0s", "-1s", "3651d"):
            with pytest.raises(ValueError, match="more than zero and at most ten years"):
                look("1").last_good(max_age=wrong)  # type: ignore[unused-awaitable]
        with pytest.raises(ValueError, match="write it like"):
            look("1").last_good(max_age="an hour")  # type: ignore[unused-awaitable]
        with pytest.raises(ValueError, match="an empty key would be everybody's"):
            look("1").last_good(max_age="1h", key="")  # type: ignore[unused-awaitable]

    await (await flow.run(saga))


def test_a_key_is_never_taken_for_arguments() -> None:
    """A key that spells the arguments of a call is kept apart from it; and each step has its own."""
    arguments = '{"driver":"ann"}'
    hashes = {
        last_good_hash("maps", "locate", arguments=arguments, key=None),
        last_good_hash("maps", "locate", arguments=arguments, key=arguments),
        last_good_hash("maps", "locate", arguments="{}", key="ann"),
        last_good_hash("maps", "estimate", arguments="{}", key="ann"),
        last_good_hash("map", "slocate", arguments="{}", key="ann"),
    }
    assert len(hashes) == 5
    one, two = (last_good_hash("maps", "locate", arguments=a, key="k") for a in ('{"n":1}', '{"n":2}'))
    assert one == two

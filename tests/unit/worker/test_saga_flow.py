"""A saga function on its own loop: identities are fixed by the code, results by their order, ends by what left it."""

from __future__ import annotations

import asyncio

import pytest

from saga import NotExecuted, Refused, StepFailed, together
from saga_worker.flow import Broke, Failed, Returned
from tests.support.driving import (
    again,
    charge,
    echo,
    reserve,
    ship,
    shuffled,
    started,
)

SEEDS = range(200)


async def parallel(_: None) -> list[object]:
    """gather, TaskGroup and together, nested, with branches of several steps and steps called before they are awaited."""
    early = charge("called first, awaited last")

    async def trip(name: str) -> str:
        first = await charge(name)
        async with asyncio.TaskGroup() as group:
            rooms = [group.create_task(reserve(f"{name}{n}")) for n in range(2)]
        if len(first) % 2:
            await ship(first)
        return first + "".join(room.result() for room in rooms)

    async def nested(name: str) -> object:
        return await together(trip(f"{name}/a"), ship(name), trip(f"{name}/b"))

    found = await asyncio.gather(trip("flight"), nested("hotel"), charge("car"))
    return [*found, await early, await charge("last")]


async def failing(_: None) -> str:
    """Branches that fail at different places, and a way that follows from which failed first."""

    async def branch(name: str) -> str:
        await reserve(name)
        return await charge(name)

    told: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            for name in ("a", "b", "c"):
                group.create_task(branch(name))
    except* StepFailed as failures:
        told = failures.exceptions[0]
    return await ship(str(told))


def refuse_charges(identity: str, arguments: str) -> str | StepFailed:
    return Refused("no", identity) if "charge" in identity else echo(identity, arguments)


def test_identities_and_results_are_equal_on_replay_whatever_the_latencies() -> None:
    """In 200 random orders of completion, a replay in that order begins the same effects and gives the same result."""
    for seed in SEEDS:
        live = shuffled(parallel, seed)
        replay = again(parallel, live)
        assert replay.begun == live.begun
        assert list(replay.begun) == list(live.begun)
        assert replay.end == live.end


def test_identities_do_not_depend_on_latencies() -> None:
    """Every order of completion gives the same arguments to the same identities."""
    seen: dict[str, str] = {}
    for seed in SEEDS:
        for identity, arguments in shuffled(parallel, seed).begun.items():
            assert seen.setdefault(identity, arguments) == arguments


def test_a_failure_cancels_siblings_at_the_same_place_on_replay() -> None:
    """In 200 random orders, a replay of a failing task group goes the same way as the first run went."""
    for seed in SEEDS:
        live = shuffled(failing, seed, refuse_charges)
        replay = again(failing, live, refuse_charges)
        assert replay.begun == live.begun
        assert replay.end == live.end
        assert replay.flow.unwanted_steps == live.flow.unwanted_steps


def test_every_prefix_of_a_run_replays() -> None:
    """A crash after any completion: the replay so far begins exactly what the first run had begun by then."""
    live = shuffled(parallel, 7)
    for length in range(len(live.given)):
        first = started(parallel)
        for identity in live.given[:length]:
            first.settle(identity)
        second = started(parallel)
        for identity in live.given[:length]:
            second.settle(identity)
        assert second.begun == first.begun
        assert second.waiting == first.waiting


def test_an_identity_is_branch_path_name_and_ordinal() -> None:
    """`charge#1` in the saga itself, `2/charge#1` in its second branch, `2/1/charge#1` in a branch of that."""

    async def function(_: None) -> None:
        async def leaf(name: str) -> None:
            await charge(name)
            await charge(name)

        async def second() -> None:
            await reserve("second")
            await asyncio.gather(leaf("inner"))

        await charge("root")
        await asyncio.gather(leaf("first"), second())

    expected = {"charge#1", "1/charge#1", "1/charge#2", "2/reserve#1", "2/1/charge#1", "2/1/charge#2"}
    assert set(shuffled(function, 1).begun) == expected


def test_a_step_called_in_the_saga_and_awaited_in_a_task_is_the_sagas() -> None:
    """An identity is fixed where the step is called: gather(charge(…), charge(…)) makes no branches."""

    async def function(_: None) -> None:
        await asyncio.gather(charge("a"), charge("b"))
        async with asyncio.TaskGroup() as group:
            group.create_task(charge("c"))

    assert list(shuffled(function, 1).begun) == ["charge#1", "charge#2", "charge#3"]


def test_a_branch_that_calls_no_step_takes_no_number() -> None:
    """A task is a branch from its first step call on; idle tasks do not shift the numbers of the others."""

    async def function(_: None) -> None:
        async def idle() -> None:
            await asyncio.sleep(0)

        async def busy() -> None:
            await charge("busy")

        await asyncio.gather(idle(), busy(), idle())

    assert list(started(function).begun) == ["1/charge#1"]


def test_a_cancelled_call_is_delivered_only_when_settled() -> None:
    """A sibling's failure makes an effect unwanted; its branch goes on only when that effect is settled."""
    delivered: list[str] = []

    async def function(_: None) -> None:
        async def slow() -> None:
            try:
                await reserve("slow")
            except asyncio.CancelledError:
                delivered.append("cancelled")
                raise

        async with asyncio.TaskGroup() as group:
            group.create_task(slow())
            group.create_task(charge("quick"))

    run = started(function)
    run.settle("charge#1", refuse_charges)
    assert run.flow.unwanted_steps == {"1/reserve#1"}
    assert (run.end, delivered) == (None, [])
    run.settle("1/reserve#1")
    assert delivered == ["cancelled"]
    assert isinstance(run.end, Failed)


def test_only_failures_of_steps_turn_a_saga() -> None:
    """StepFailed, alone or in a group, is a failure; anything beside it in the group is a bug."""

    async def refused(_: None) -> None:
        raise ExceptionGroup("both", [Refused("no"), NotExecuted("away")])

    async def mixed(_: None) -> None:
        raise ExceptionGroup("both", [Refused("no"), KeyError("bug")])

    end = started(refused).end
    assert isinstance(end, Failed)
    assert isinstance(end.error, Refused)
    broke = started(mixed).end
    assert isinstance(broke, Broke)
    assert "KeyError" in broke.detail


def test_a_function_that_cancels_itself_has_a_bug() -> None:
    """CancelledError out of a saga function, which nobody cancelled, is not a way to end."""

    async def function(_: None) -> None:
        raise asyncio.CancelledError

    assert isinstance(started(function).end, Broke)


@pytest.mark.parametrize("awaited", [True, False])
def test_a_step_that_nobody_awaited_is_told(*, awaited: bool) -> None:
    """A return with a step called and never awaited, or begun in a task and left, names that step."""

    async def function(_: None) -> str:
        if awaited:
            left = asyncio.ensure_future(charge("left in a task"))
            assert not left.done()
            await asyncio.sleep(0)
        else:
            charge("never awaited")  # type: ignore[unused-awaitable]  # the mistake that is tested
        return "done"

    assert started(function).end == Returned("done", ("charge#1",))

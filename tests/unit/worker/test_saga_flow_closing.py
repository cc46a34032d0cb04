"""Taking a saga function out of memory: clean-up code runs, nothing new begins, nothing is left to the collector."""

from __future__ import annotations

import asyncio

from saga import Refused, StepFailed
from saga_worker.flow import Failed
from tests.support.driving import Driven, charge, reserve, ship, started


def refuse(identity: str, _: str) -> str | StepFailed:
    return Refused("no", identity)


def closed(run: Driven) -> Driven:
    run.flow.close()
    run.flow.drive()
    assert run.flow.take_begun() == []
    return run


def test_clean_up_runs_and_no_step_starts() -> None:
    """`finally` blocks of the function and of its branches run, and a step called there raises, unrecorded."""
    cleaned: list[str] = []

    async def function(_: None) -> None:
        async def branch(name: str) -> None:
            try:
                await charge(name)
            finally:
                cleaned.append(name)
                await ship("in the clean-up")

        try:
            await asyncio.gather(branch("a"), branch("b"))
        finally:
            cleaned.append("root")
            await ship("in the clean-up")

    closed(started(function))
    assert sorted(cleaned) == ["a", "b", "root"]


def test_branches_that_outlive_the_function_are_closed() -> None:
    """After gather raised, its other branches still live; they are ended here, not by the garbage collector."""
    cleaned: list[str] = []

    async def function(_: None) -> None:
        async def branch() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                cleaned.append("branch")

        await asyncio.gather(branch(), charge("refused"))

    run = started(function)
    run.settle("charge#1", refuse)
    assert isinstance(run.end, Failed)
    assert cleaned == []
    closed(run)
    assert cleaned == ["branch"]


def test_a_fallback_does_not_start() -> None:
    """Teardown is no failure of a step: or_else and or_none do not run their other way."""
    took: list[str] = []

    def fallback() -> str:
        took.append("fallback")
        return ""

    async def function(_: None) -> None:
        await charge("a").or_else(fallback, on=StepFailed)

    run = closed(started(function))
    assert took == []
    assert run.flow.degradations == {}


def test_a_function_that_swallows_the_teardown_starts_nothing() -> None:
    """A function that catches the cancellation and calls the next step gets another, and nothing begins."""

    async def function(_: None) -> None:
        for name in "abc":
            try:
                await charge(name)
            except asyncio.CancelledError:
                continue
        await reserve("after")

    run = closed(started(function))
    assert list(run.begun) == ["charge#1"]


def test_closing_twice_is_closing_once() -> None:
    """A saga that is lost and then stopped is closed twice, without harm."""

    async def function(_: None) -> None:
        await charge("a")

    closed(closed(started(function)))

"""The shapes of sagas that wait: for a time or for a signal, beside their steps and between them.

Rule that holds here: each shape says between which requests how much time must have passed, so that nobody has to believe
what the engine's rows say of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from saga import Signal, SignalTimeout, StepFailed, new_uuid, now, random, sleep, together
from saga.testing.invariants.record import Pause
from saga.testing.simulation.customers import Send

Steps = dict[str, Any]
Function = Callable[[str], Coroutine[Any, Any, str]]
HALF = 0.5
Waiting = tuple[str, Function, frozenset[str] | None, tuple[Pause, ...], tuple[Send, ...]]
parcel = Signal("parcel", str)


def _naps(s: Steps) -> Function:
    """A short sleep, which the worker sits out, and a long one, for which the saga leaves its memory."""

    async def run(order: str) -> str:
        await s["reserve"](order)
        await sleep("500ms")
        await s["charge"](order)
        await sleep("4s")
        return str(await s["ship"](order))

    return run


def _beside(s: Steps) -> Function:
    """Two branches that sleep at the same time."""

    async def run(order: str) -> str:
        async def early() -> None:
            await sleep("1s")
            await s["reserve"](order)

        async def late() -> None:
            await s["charge"](order)
            await sleep("3s")
            await s["ship"](order)

        await together(early(), late())
        return order

    return run


def _given_up(s: Steps) -> Function:
    """A sleep that ends with the sibling that fails; which way it goes then follows from which came first."""

    async def run(order: str) -> str:
        async def slow() -> None:
            await sleep("3s")
            await s["charge"](order)

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(slow())
                group.create_task(s["reserve"](order))
        except* StepFailed:
            await sleep("1s")
            await s["charge_later"](order)
        return str(await s["ship"](order))

    return run


def _drawn(s: Steps) -> Function:
    """What it asks for, and which way it goes, follows from what it has drawn."""

    async def run(order: str) -> str:
        lot = f"{order} {new_uuid()} {now().isoformat()}"
        await s["reserve"](lot)
        share = random()
        await s["charge" if share < HALF else "charge_later"](f"{lot} {share}")
        return str(await s["ship"](f"{lot} {now() >= now()}"))

    return run


def _parcels(s: Steps) -> Function:
    """Two signals, however long they take: one comes before its wait, and each is sent twice under its key."""

    async def run(order: str) -> str:
        await s["reserve"](f"{order} {await parcel.wait()}")
        await s["charge"](f"{order} {await parcel.wait()}")
        return str(await s["ship"](order))

    return run


def _in_time(s: Steps) -> Function:
    """A signal that comes at about the time when its wait is over, beside a step that the worker has in its memory."""

    async def run(order: str) -> str:
        async def told() -> str:
            try:
                return await parcel.wait(timeout="3s")
            except SignalTimeout:
                return "nothing"

        said, _ = await together(told(), s["reserve"](order))
        return str(await s["ship"](f"{order} {said}"))

    return run


def _shared(s: Steps) -> Function:
    """Two branches that wait for the same signal, and turn the saga when it does not come."""

    async def run(order: str) -> str:
        async def branch(step: str) -> None:
            await s[step](f"{order} {await parcel.wait(timeout='4s')}")

        await together(branch("reserve"), branch("charge"))
        return str(await s["ship"](order))

    return run


def _twice(payload: str, at: float) -> tuple[Send, ...]:
    """Under one key, from two senders."""
    return (Send(parcel, payload, at, payload), Send(parcel, payload, at + 0.4, payload))


def waiting(s: Steps) -> list[Waiting]:
    """All of them: name, function, what stands when it has completed, what lies between its requests, what it is sent."""
    line = frozenset({"reserve#1", "charge#1", "ship#1"})
    return [
        ("naps", _naps(s), line, (Pause("reserve#1", "charge#1", 0.5), Pause("charge#1", "ship#1", 4.0)), ()),
        (
            "beside",
            _beside(s),
            frozenset({"1/reserve#1", "2/charge#1", "2/ship#1"}),
            (Pause("2/charge#1", "2/ship#1", 3.0),),
            (),
        ),
        ("given_up", _given_up(s), None, (), ()),
        ("drawn", _drawn(s), None, (), ()),
        ("parcels", _parcels(s), line, (), (*_twice("first parcel", 0.0), *_twice("second parcel", 5.0))),
        ("in_time", _in_time(s), None, (), _twice("a parcel", 2.9)),
        ("shared", _shared(s), None, (), (*_twice("one parcel", 1.0), *_twice("another parcel", 3.6))),
    ]

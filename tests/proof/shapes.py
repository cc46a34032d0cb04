"""The shapes of sagas that are simulated: every way in which up to three steps can stand to each other.

Rules that hold here: a shape says which steps stand when it has completed; the bodies are never run, because the
network stands in for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import cache
from typing import Any

from saga import Answer, Call, Retry, saga, step, together
from saga.definition import SagaDefinition
from saga.errors import StepFailed
from saga.service import Service
from saga.testing.invariants.record import Pause
from saga.testing.simulation.customers import Send
from tests.proof.profiles import PROFILES, QUICK, TIMEOUT, Profile
from tests.proof.waits import waiting

DEADLINES = {"deadline": "400ms"}
TWICE = Retry(attempts=2, first="20ms", most="200ms")
Steps = dict[str, Any]
Function = Callable[[str], Coroutine[Any, Any, str]]


@dataclass(frozen=True)
class Shape:
    """One saga. stands: the identities of the steps that stand when it has completed; None: it depends.

    pauses: how far apart its requests must be. sends: what is sent to it.
    """

    name: str
    definition: SagaDefinition[str, str]
    stands: frozenset[str] | None
    pauses: tuple[Pause, ...] = ()
    sends: tuple[Send, ...] = ()


def make_step(
    profile: Profile, service: Service, name: str, *, undo: bool = True, sync: bool = False, probe: bool = True,
    **more: Any,
) -> Any:  # fmt: skip
    """A step on this service, with a compensation unless there is nothing to undo."""
    asks = probe and profile.probe and not more.get("reads")
    options: dict[str, Any] = {
        "timeout": TIMEOUT, "retry": QUICK, "settle_within": "8s", "pending_within": "8s", "probes": 40,
        **profile.step, **more,
    }  # fmt: skip
    if not undo:
        options["undo"] = "nothing"
        options.pop("late", None)

    if sync:

        def body(call: Call, order: str) -> str:
            raise AssertionError("the network stands in for it")
    else:

        async def body(call: Call, order: str) -> str | None:  # type: ignore[misc]
            raise AssertionError("the network stands in for it")

    made = step(service, name=name, **options)(body)
    if undo:

        @made.compensate
        async def take_back(call: Call, result: str, order: str) -> None:
            raise AssertionError("the network stands in for it")

        take_back.name = f"undo_{name}"
        if asks:

            @take_back.status
            async def taken_back(call: Call, result: str, order: str) -> Answer[None]:
                raise AssertionError("the network stands in for it")

    if asks:

        @made.status
        async def status(call: Call, order: str) -> Answer[str]:
            raise AssertionError("the network stands in for it")

    return made


def _linear(s: Steps) -> Function:
    async def run(order: str) -> str:
        await s["reserve"](order)
        await s["charge"](order)
        return str(await s["ship"](order))

    return run


def _pair(s: Steps) -> Function:
    async def run(order: str) -> str:
        await together(s["reserve"](order), s["charge"](order))
        return str(await s["ship"](order))

    return run


def _group(s: Steps) -> Function:
    async def run(order: str) -> str:
        async with asyncio.TaskGroup() as group:
            group.create_task(s["reserve"](order))
            group.create_task(s["charge"](order))
        return str(await s["ship"](order))

    return run


def _nested(s: Steps) -> Function:
    async def run(order: str) -> str:
        async def branch() -> str:
            await s["reserve"](order)
            return str(await s["charge"](order))

        await together(branch(), s["ship"](order))
        return order

    return run


def _fallback(s: Steps) -> Function:
    async def run(order: str) -> str:
        await s["reserve"](order)
        try:
            await s["charge"](order)
        except StepFailed:
            await s["charge_later"](order)
        return str(await s["ship"](order))

    return run


def _read_first(s: Steps) -> Function:
    """Goes on with what anybody's read returned last: a replay that was given another value would charge for another order."""

    async def run(order: str) -> str:
        seen = await s["reserve"](order).last_good(max_age="1h", key="anybody's")
        await s["charge"](f"{order}, {seen}")
        return str(await s["ship"](order))

    return run


def _twice(s: Steps) -> Function:
    async def run(order: str) -> str:
        await s["charge"](order)
        return str(await s["charge"](f"{order} again"))

    return run


def _repeatable(profile: Profile, service: Service) -> Any:
    """A step of which a duplicate is acceptable; it gives up soon."""
    options: dict[str, Any] = {
        "watch_for": None,
        "at_most_once": False,
        "retry": Retry(4, first="20ms", most="200ms", give_up="1s"),
    }
    return make_step(profile, service, "remind", undo=False, probe=False, repeatable=True, **options)


def _accepting(profile: Profile, service: Service) -> Any:
    """A step whose doubt is accepted where nothing settles it."""
    options: dict[str, Any] = {"settle_within": "1s", "in_doubt": "accept"}
    return make_step(profile, service, "notify", undo=False, **options)


_LINE = frozenset({"reserve#1", "charge#1", "ship#1"})
_NESTED = frozenset({"1/reserve#1", "1/charge#1", "ship#1"})


@cache
def shapes(profile_name: str) -> dict[str, Shape]:
    """Every shape, on services of this profile."""
    profile = PROFILES[profile_name]
    services = {name: profile.service(f"{name} of {profile_name}") for name in ("stock", "bank", "post")}
    steps = {
        "reserve": make_step(profile, services["stock"], "reserve"),
        "charge": make_step(profile, services["bank"], "charge"),
        "charge_later": make_step(profile, services["bank"], "charge_later"),
        "ship": make_step(profile, services["post"], "ship"),
    }
    if profile.waits:
        return {
            name: Shape(
                name, saga(f"{name}-{profile_name}", steps=list(steps.values()))(run), stands, pauses, sends
            )
            for name, run, stands, pauses, sends in waiting(steps)
        }
    pivot = {"reserve": steps["reserve"], "charge": make_step(profile, services["bank"], "charge", undo=False, pivot=True),
             "ship": make_step(profile, services["post"], "ship", undo=False)}  # fmt: skip
    sync = {**steps, "charge": make_step(profile, services["bank"], "charge", sync=True)}
    reads = {
        **steps,
        "reserve": make_step(profile, services["stock"], "reserve", reads=True, undo=False, retry=TWICE),
    }
    kinds = {**steps, "reserve": _repeatable(profile, services["stock"]),
             "ship": _accepting(profile, services["post"])}  # fmt: skip
    made: list[tuple[str, Function, Steps, frozenset[str] | None]] = [
        ("linear", _linear(steps), steps, _LINE),
        ("pair", _pair(steps), steps, _LINE),
        ("group", _group(steps), steps, _LINE),
        ("nested", _nested(steps), steps, _NESTED),
        ("pivot", _linear(pivot), pivot, _LINE),
        ("fallback", _fallback(steps), steps, None),
        ("sync", _linear(sync), sync, _LINE),
        ("twice", _twice(steps), steps, frozenset({"charge#1", "charge#2"})),
        ("reads", _read_first(reads), reads, None)
        if not profile.step
        else ("reads", _linear(steps), steps, None),
        ("kinds", _linear(kinds), kinds, None),
        ("deadline", _linear(steps), steps, _LINE),
    ]
    return {
        name: Shape(
            name,
            saga(f"{name}-{profile_name}", steps=list(used.values()), deadline=DEADLINES.get(name))(run),
            stands,
        )
        for name, run, used, stands in made
    }

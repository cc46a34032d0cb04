"""Drives a `SagaFlow` by hand: results in any order that a test likes, and the same order once more."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from saga import Call, Service, step
from saga.definition import SagaDefinition
from saga.errors import StepFailed
from saga_worker.flow import FlowEnd, SagaFlow

shop = Service("shop", remembers="all", key_lifetime="24h")


@step(shop, timeout="1s", undo="nothing")
async def charge(call: Call, who: str) -> str:
    return who


@step(shop, timeout="1s", undo="nothing")
async def reserve(call: Call, who: str) -> str:
    return who


@step(shop, timeout="1s", undo="nothing")
async def ship(call: Call, who: str) -> str:
    return who


Answer = Callable[[str, str], "str | StepFailed"]
"""Identity and arguments of an effect -> its result, or its failure."""


def echo(identity: str, arguments: str) -> str:
    """Every effect succeeds, and its result names it."""
    return f"{identity}{arguments}"


@dataclass
class Driven:
    """One run: what was begun in which order, what was given in which order, how it ended."""

    flow: SagaFlow
    begun: dict[str, str] = field(default_factory=dict)
    given: list[str] = field(default_factory=list)

    @property
    def waiting(self) -> list[str]:
        """The effects that the function waits for."""
        return [identity for identity in self.begun if self.flow.gives(identity)]

    @property
    def end(self) -> FlowEnd | None:
        """How the function ended, or None."""
        return self.flow.end()

    def drive(self) -> None:
        """Run until idle, and note what was begun."""
        self.flow.drive()
        for one in self.flow.take_begun():
            assert one.call.identity not in self.begun, "an identity twice"
            self.begun[one.call.identity] = one.call.arguments

    def settle(self, identity: str, answer: Answer = echo) -> None:
        """Give one effect's end, and run until idle."""
        found = answer(identity, self.begun[identity])
        self.given.append(identity)
        if isinstance(found, StepFailed):
            self.flow.fail(identity, found)
        else:
            self.flow.give(identity, found)
        self.drive()


def started(function: Callable[[Any], Coroutine[Any, Any, Any]], value: Any = None) -> Driven:
    """A run of `function` up to where it waits for the first time."""
    definition = SagaDefinition(function, name="driven", steps=[charge, reserve, ship])
    run = Driven(SagaFlow(definition, value))
    run.drive()
    return run


def shuffled(function: Callable[[Any], Coroutine[Any, Any, Any]], seed: int, answer: Answer = echo) -> Driven:
    """A whole run in which effects end in a random order."""
    chance, run = random.Random(seed), started(function)
    while run.end is None:
        run.settle(chance.choice(run.waiting), answer)
    return run


def again(
    function: Callable[[Any], Coroutine[Any, Any, Any]], before: Driven, answer: Answer = echo
) -> Driven:
    """The same run as a replay does it: results in the order in which they were first given."""
    run = started(function)
    for identity in before.given:
        run.settle(identity, answer)
    return run

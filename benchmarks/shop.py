"""What is measured: sagas of no-op steps, 200 bytes in, 100 bytes out a step. `engine` is what the workers serve."""

from __future__ import annotations

import asyncio
import random

from saga import Answer, Call, Engine, Landed, SagaDefinition, Service, saga, step

INPUT = "i" * 200
RESULT = "r" * 100
LOST = 0.05
"""Of all replies, where some are lost."""
FOR_LONG_S = 3600.0
STEPS = (1, 3, 10, 100, 1000)

nothing = Service("nothing", remembers="all", key_lifetime="7d", lateness="2s")


@step(nothing, timeout="10s", undo="nothing")
async def work(call: Call, text: str) -> str:
    """Do nothing, at once."""
    del call, text
    return RESULT


@step(nothing, timeout="10s", undo="nothing")
async def unlucky(call: Call, text: str) -> str:
    """Do nothing, at once; one reply in twenty is lost."""
    del call, text
    if random.random() < LOST:
        raise ConnectionError("the reply was lost")
    return RESULT


@unlucky.status
async def what_became(call: Call, text: str) -> Answer[str]:
    """It has landed, always."""
    del call, text
    return Landed(RESULT)


@step(nothing, timeout="2h", undo="nothing")
async def wait(call: Call, text: str) -> str:
    """Keep a saga in motion, and do nothing."""
    del call
    await asyncio.sleep(FOR_LONG_S)
    return text


def of_steps(count: int) -> SagaDefinition[str, str]:
    """A saga of so many steps, one after the other."""

    @saga(f"steps_{count}")
    async def steps(text: str) -> str:
        for _ in range(count):
            text = await work(text)
        return text

    return steps


@saga("losing")
async def losing(text: str) -> str:
    """Three steps that lose a reply in twenty."""
    for _ in range(3):
        text = await unlucky(text)
    return text


@saga("waiting")
async def waiting(text: str) -> str:
    """One step that takes an hour."""
    return await wait(text)


SAGAS = {count: of_steps(count) for count in STEPS}
engine = Engine(sagas=[*SAGAS.values(), losing, waiting])

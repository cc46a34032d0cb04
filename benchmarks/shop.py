"""What is measured: sagas of no-op steps, 200 bytes in, 100 bytes out a step. `engine` is what the workers serve."""

from __future__ import annotations

from saga import Call, Engine, SagaDefinition, Service, saga, step

INPUT = "i" * 200
RESULT = "r" * 100
nothing = Service("nothing", remembers="all", key_lifetime="7d", lateness="2s")


@step(nothing, timeout="10s", undo="nothing")
async def work(call: Call, text: str) -> str:
    """Do nothing, at once."""
    del call, text
    return RESULT


def of_steps(count: int) -> SagaDefinition[str, str]:
    """A saga of so many steps, one after the other."""

    @saga(f"steps_{count}")
    async def steps(text: str) -> str:
        for _ in range(count):
            text = await work(text)
        return text

    return steps


SAGAS = {count: of_steps(count) for count in (1, 3, 10, 100)}
engine = Engine(sagas=SAGAS.values())

"""`python -m benchmarks.floor`: what the parts of one step cost in this Python, each alone, in microseconds; no database.

None of them can be left out of an engine that keeps its promises, so that their sum is a floor for a step.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import platform
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import structlog

from benchmarks.shop import INPUT, RESULT, SAGAS, work
from saga.call import Call, current_call
from saga.core.decide import decide
from saga.core.evidence import Intended, Replied
from saga.core.facts import EffectFacts, Want
from saga.core.keys import effect_key, request_hash
from saga.core.model import Direction, Succeeded
from saga.ids import uuid7
from saga_worker.flow import SagaFlow

ROUNDS, STEPS = 5, 3
NOW = datetime(2026, 1, 1, tzinfo=UTC)
CALL = Call.fake("k")


async def _task() -> None:
    """A body in a task of its own, with a timeout, in its own context: so it can be left running and still be heard of (S25)."""
    context = contextvars.copy_context()
    context.run(current_call.set, CALL)
    context.run(structlog.contextvars.bind_contextvars, saga_id="s", step="work#1", attempt=1)
    body = asyncio.get_running_loop().create_task(work.body(CALL, INPUT), context=context)
    await asyncio.wait({body}, timeout=10)


async def _values() -> None:
    text = work.arguments.encode((INPUT,), {})
    work.decode_arguments(text)
    work.decode_result(work.encode_result(RESULT))


async def _key() -> None:
    effect_key(b"s" * 32, "", saga="steps_3", business_key="b", step="work#1", direction=Direction.FORWARD)
    request_hash("nothing", "work", INPUT)
    uuid7()


async def _rules() -> None:
    """Both look at the evidence anew: what it proves, and what follows."""
    seen = (Intended(1, NOW, NOW + timedelta(seconds=10)), Replied(1, Succeeded(RESULT)))
    facts = EffectFacts(
        Direction.FORWARD, work.service.promises, work.policy, seen, first_intent=NOW, quiet_from=NOW
    )
    decide(facts, Want.WANTED, NOW, 0.5)


async def _function() -> None:
    """The saga function on its own loop, for one step of three."""
    flow = SagaFlow(SAGAS[STEPS], INPUT)
    flow.drive()
    for begun in iter(flow.take_begun, []):
        flow.give(begun[0].call.identity, RESULT)
        flow.drive()


PARTS: dict[str, tuple[Callable[[], Awaitable[None]], int]] = {
    "body_in_a_task_with_a_timeout": (_task, 1), "values_checked_and_coded": (_values, 1), "key_hash_and_id": (_key, 1),
    "rules": (_rules, 1), "saga_function_on_its_loop": (_function, STEPS),
}  # fmt: skip


async def _measured(part: Callable[[], Awaitable[None]], times: int = 5_000) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(times):
            await part()
        best = min(best, (time.perf_counter() - began) / times * 1e6)
    return best


async def _all() -> dict[str, float]:
    return {name: await _measured(part) / steps for name, (part, steps) in PARTS.items()}


def main() -> int:
    """Print each, and their sum."""
    figures = asyncio.run(_all())
    print(f"Python {platform.python_version()}, best of {ROUNDS}, microseconds a step")
    for name, micros in figures.items():
        print(f"  {name:32} {micros:6.1f}")
    print(f"  {'together':32} {sum(figures.values()):6.1f}")
    print(json.dumps({"v": 1, **{name: round(micros, 1) for name, micros in figures.items()}}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

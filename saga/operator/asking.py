"""A question for a service, through a worker: put as a row, answered as a row.

Rule: no worker, or none that takes the question in time, is an error that says what to start; never an answer.
"""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

from saga.clock import boottime
from saga.engine import Engine
from saga.errors import SagaError
from saga.operator.effects import named
from saga.operator.errors import NoWorker
from saga.operator.records import ProbeAnswer
from saga.store import requests, stuck
from saga.store.queries import SagaLine
from saga.store.requests import Question
from saga.store.sagas import EffectRow

POLL_S = 0.05
NOBODY_CAN_ASK = "nobody can ask"


class CannotBeAsked(SagaError):
    """The effect has no status handler."""


async def ask(engine: Engine, saga: SagaLine, effect: EffectRow, who: str, within: timedelta) -> ProbeAnswer:
    """What the service says of the effect; recorded as evidence.

    Raises:
        NoWorker: no worker serves the saga, or none took the question in time.
        CannotBeAsked: there is no status handler.
        SagaError: the worker did not get an answer in time.
    """
    await _require_worker(engine, saga)
    question = Question(saga.id, effect.step, effect.direction, who)
    async with engine.connection() as connection:
        request = await requests.request_probe(connection, engine.schema, question, within=within)
    until = boottime() + within.total_seconds()
    while True:
        # It is given back while we wait: a worker may share the engine.
        async with engine.connection() as connection:
            state = await requests.request_state(connection, engine.schema, request)
        if state.answer is not None:
            return _answer(effect, json.loads(state.answer))
        if boottime() >= until:
            break
        await asyncio.sleep(POLL_S)
    seconds = f"{within.total_seconds():g} s"
    if state.taken_by is None:
        raise NoWorker(f"no worker took the question in {seconds}: see `saga worker list`")
    raise SagaError(
        f"{effect.service} did not answer about {named(effect)} in {seconds}: try a longer --timeout"
    )


async def _require_worker(engine: Engine, saga: SagaLine) -> None:
    async with engine.connection() as connection:
        workers = await stuck.workers(connection, engine.schema)
    if not any(w.alive and f"{saga.name} v{saga.version}" in w.serves for w in workers):
        raise NoWorker(
            f"no worker serves {saga.name} v{saga.version}, and only a worker can ask the service: "
            "start one with `saga worker run MODULE:ENGINE`"
        )


def _answer(effect: EffectRow, body: dict[str, Any]) -> ProbeAnswer:
    if "error" in body:
        error = str(body["error"])
        raise CannotBeAsked(error) if NOBODY_CAN_ASK in error else SagaError(error)
    return ProbeAnswer(
        effect.step, effect.direction, body["answer"], body["phase"], body.get("result"), body.get("reason")
    )

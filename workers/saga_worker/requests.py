"""Answers operators who ask for a probe: the question comes as a row, because only workers call services.

Rules that hold here: a probe records evidence and changes nothing else; each request is answered once, by
whichever worker serves the saga and takes it first.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from saga.core.evidence import Phase, Probed, word
from saga.store.connections import Connection
from saga.store.requests import ProbeRequest, answer_request, take_requests
from saga_worker.asking import effect_of, question

if TYPE_CHECKING:
    from saga_worker.worker import Worker


async def serve_requests(connection: Connection, worker: Worker) -> None:
    """Take the open requests that this worker can serve, and answer them in the background."""
    taken = await take_requests(connection, worker.schema, worker.engine.registry_serves(), worker.id)
    for request in taken:
        worker.in_background(_answer(worker, request))


async def _answer(worker: Worker, request: ProbeRequest) -> None:
    answer = await _probe(worker, request)
    async with worker.engine.connection() as connection:
        await answer_request(connection, worker.schema, request.id, json.dumps(answer))


async def _probe(worker: Worker, request: ProbeRequest) -> dict[str, object]:
    effect = await effect_of(worker, request)
    if effect is None:
        return {"error": f"there is no effect {request.step} ({request.direction}) in this saga"}
    if effect.handlers.probe is None:
        return {"error": f"{effect.handlers.name} has no status handler, so nobody can ask"}
    facts = effect.facts(worker.clocks)
    now = worker.clocks.now()
    quiet = facts.quiet_from is not None and now >= facts.quiet_from
    answer = await worker.performer.probe(effect, question(worker, request, effect, wanted=True))
    seen = Probed(facts.attempts, answer, Phase.QUIET if quiet else Phase.EARLY, now)
    await worker.keep(request.saga_id, effect, seen)
    result = getattr(answer, "result", None)
    return {"answer": word(answer), "phase": seen.phase.value, "result": result and json.loads(result),
            "reason": getattr(answer, "reason", None)}  # fmt: skip

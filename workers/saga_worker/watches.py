"""Asks about effects that were settled by silence, and tells when one has landed after all (S16).

Rule that holds here: "not found" is the expected answer and is not kept; a landing is evidence, it alarms, and
whoever owns the saga decides what follows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from saga.core.evidence import Fenced, Landed, NoAnswer, Phase, Probed
from saga.core.model import EffectStatus
from saga.store import watches
from saga.store.connections import Connection
from saga.store.watches import Watch
from saga_worker.asking import effect_of, question

if TYPE_CHECKING:
    from saga_worker.worker import Worker


async def serve_watches(connection: Connection, worker: Worker) -> None:
    """Take the watches that are due, and ask in the background."""
    for watch in await watches.take(connection, worker.schema, worker.engine.registry_serves()):
        worker.in_background(_ask(worker, watch))


async def _ask(worker: Worker, watch: Watch) -> None:
    effect = await effect_of(worker, watch)
    if effect is None or effect.handlers.probe is None:
        return  # the code has no probe any more: the next deploy may have it again
    if not worker.services.lets_all_in(effect.step.service.name):
        return  # as good as no answer: it is asked when it is closed again
    asked_at = worker.clocks.now()
    answer = await worker.performer.probe(effect, question(worker, watch, effect, wanted=False))
    # S23: after a resend the one that landed is no news, and an older request may still follow it.
    known = effect.status is EffectStatus.SUCCEEDED and isinstance(answer, Landed) and not answer.also
    news = isinstance(answer, Landed) and not known
    if news:
        await worker.keep(watch.saga_id, effect, Probed(effect.attempt, answer, Phase.QUIET, asked_at))
    over = watch.last and not isinstance(answer, NoAnswer)
    if over or news or isinstance(answer, Fenced):
        async with worker.engine.connection() as connection:
            await watches.drop(connection, worker.schema, watch)

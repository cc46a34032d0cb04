"""An effect of a saga that this worker does not run, loaded to ask about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saga.call import Call
from saga.core.model import Direction
from saga.store import sagas
from saga.store.requests import ProbeRequest
from saga.store.watches import Watch
from saga_worker.effects import LiveEffect, from_row

if TYPE_CHECKING:
    from saga_worker.worker import Worker


def question(worker: Worker, asked: ProbeRequest | Watch, effect: LiveEffect, *, wanted: bool) -> Call:
    """The call that a probe is asked under, with the budget of an attempt."""
    budget = worker.clocks.boot() + effect.policy.timeout.total_seconds()
    undone = effect.undoes[1] if effect.undoes else None
    return Call(effect.key, undone, effect.attempt, str(asked.saga_id), effect.identity, budget, wanted)


async def effect_of(worker: Worker, asked: ProbeRequest | Watch) -> LiveEffect | None:
    """The effect as it is recorded, or None when it, or its step in the code, is not there.

    Raises:
        ValueError: what is recorded no longer fits the step's types.
    """
    async with worker.engine.connection() as connection:  # given back before anybody asks a service
        recorded = (await sagas.recorded(connection, worker.schema, [asked.saga_id]))[asked.saga_id]
    rows = {(row.step, row.direction): row for row in recorded.effects}
    row = rows.get((asked.step, asked.direction))
    forward = rows.get((asked.step, Direction.FORWARD))
    if row is None or forward is None:
        return None
    step = worker.engine.definition(asked.name, asked.version).steps.get(forward.name)
    handlers = step if step is None or asked.direction is Direction.FORWARD else step.compensation
    if step is None or handlers is None:
        return None
    effect = from_row(row, recorded.evidence[row.step, row.direction], handlers, worker.clocks)
    if asked.direction is Direction.BACKWARD:
        effect.undoes = (step.decode_result(forward.result or "null"), forward.key)
    return effect

"""`engine.witness`: a webhook, or any other news of an effect, becomes evidence (S25).

Rules that hold here: news is accepted at any time, also after the saga's end; it is an observation and never a
conclusion; what contradicts an end is alarmed and taken up again, and is never silent.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from saga.answers import Answer, Fenced, Landed, NotFound, Pending
from saga.core import evidence as seen
from saga.core.model import Direction, Refused, Succeeded
from saga.core.promises import Kind
from saga.errors import NotFoundError
from saga.errors import Refused as RefusedError
from saga.ids import uuid7
from saga.steps import Step
from saga.store import sagas, witnesses
from saga.store.changes import EvidenceWrite
from saga.store.witnesses import Keyed

if TYPE_CHECKING:
    from saga.engine import Engine

RULE = "webhook"


async def witness(engine: Engine, key: str, answer: Answer[Any]) -> None:
    """Keep what was heard of the effect under `key`, and wake its saga."""
    async with engine.connection() as connection:
        keyed = await witnesses.by_key(connection, engine.schema, key)
        if keyed is None:
            raise NotFoundError(
                f"no effect has the key {key!r}: witness takes the key that the call was made under"
            )
        step = engine.definition(keyed.saga, keyed.version).steps.get(keyed.name)
        if step is None:
            raise NotFoundError(
                f"saga {keyed.saga} has no step {keyed.name} any more: deploy the code that has it"
            )
        heard = _evidence(step, keyed, answer)
        kind, attempt, body = seen.encode(heard)
        await sagas.witness(
            connection,
            engine.schema,
            worker=None,
            saga_id=keyed.saga_id,
            write=EvidenceWrite(uuid7(), keyed.step, keyed.direction, attempt, kind, json.dumps(body)),
            seen=None if step.policy.kind is Kind.READS else heard,
        )


def _evidence(step: Step[..., Any], keyed: Keyed, answer: Answer[Any]) -> seen.Evidence:
    match answer:
        case Landed(result=result, also=also):
            back = keyed.direction is Direction.BACKWARD
            text, *more = ("null" if back else step.encode_result(one) for one in (result, *also))
            if more:  # S23: only what was found, and not what was replied, may be more than one
                return _asked(keyed, seen.Landed(text, tuple(more)))
            return seen.Replied(keyed.attempt, Succeeded(text, RULE), seen.EvidenceKind.WEBHOOK)
        case RefusedError(code=code, message=message):
            return seen.Replied(
                keyed.attempt, Refused(str(code), str(message), RULE), seen.EvidenceKind.WEBHOOK
            )
        case NotFound():
            return _asked(keyed, seen.NotFound())
        case Pending(retry_after=after):
            return _asked(keyed, seen.Pending(after))
        case Fenced():
            return _asked(keyed, seen.Fenced())


def _asked(keyed: Keyed, answer: seen.ProbeAnswer) -> seen.Evidence:
    return seen.Probed(keyed.attempt, answer, seen.Phase.EARLY, keyed.now)

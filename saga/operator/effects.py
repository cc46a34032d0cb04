"""Which effect an operator means, what is known of how it may be settled, and what undoing a saga would do.

Rules that hold here: the definitions decide where they are known; where they are not, what is recorded decides, and
the sentence says so; nothing here reads a database.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from saga.core.model import SETTLED, Direction, EffectStatus, ParkCause
from saga.core.promises import Kind
from saga.core.unwind import Finished, unwind
from saga.definition import SagaDefinition
from saga.errors import NotFoundError, Unsafe
from saga.operator.errors import Ambiguous
from saga.operator.records import Plan
from saga.steps import Compensation, Step
from saga.store.acts import Seen
from saga.store.operators import is_open
from saga.store.queries import EvidenceLine, Story
from saga.store.sagas import EffectRow

Definition = SagaDefinition[Any, Any]
IN_DOUBT = frozenset({EffectStatus.SENT, EffectStatus.DOUBT})


def named(effect: EffectRow) -> str:
    """An effect for people: a compensation by its own name, and what it undoes."""
    return effect.step if effect.direction is Direction.FORWARD else f"{effect.name} of {effect.step}"


def pick(story: Story, said: str) -> EffectRow:
    """The effect that `said` means: charge#1, charge, or the name of a compensation; the one in doubt if several.

    Raises:
        NotFoundError, Ambiguous: the sentence lists the effects.
    """
    found = [e for e in story.effects if said in _names_of(e)]
    if not found:
        there = ", ".join(named(e) for e in story.effects) or "none yet"
        raise NotFoundError(f"{story.saga.key} has no effect {said!r}; its effects: {there}")
    if len(found) > 1:
        found = [e for e in found if e.status in IN_DOUBT] or found
    if len(found) > 1:
        raise Ambiguous(f"{said!r} may be {' or '.join(named(e) for e in found)}: write one of them")
    return found[0]


def lateness_of(effect: EffectRow, definition: Definition | None) -> timedelta | None:
    """How long after its deadline it may still land, where the definition is known."""
    step = (
        None if definition is None else definition.steps.get(effect.step.rpartition("/")[2].partition("#")[0])
    )
    return None if step is None else step.service.promises.lateness


def same(story: Story, effect: EffectRow) -> EffectRow:
    """The effect as it is in a newer story of its saga."""
    wanted = (effect.step, effect.direction)
    return next((e for e in story.effects if (e.step, e.direction) == wanted), effect)


def _names_of(effect: EffectRow) -> set[str]:
    """What it may be called: its identity, the last part of its path, the name of its function."""
    last = effect.step.rsplit("/", 1)[-1]
    if effect.direction is Direction.BACKWARD:
        return {effect.name, f"{effect.name} of {effect.step}", effect.step, last, last.split("#", 1)[0]}
    return {effect.step, last, effect.name}


def handlers_of(definition: Definition | None, story_effects: Sequence[EffectRow], effect: EffectRow) -> (
    Step[..., Any] | Compensation[Any, ...] | None
):  # fmt: skip
    """The step or compensation behind an effect; None where the definitions do not say."""
    if definition is None:
        return None
    forward = next(
        (e for e in story_effects if e.step == effect.step and e.direction is Direction.FORWARD), effect
    )
    step = definition.steps.get(forward.name)
    return step if step is None or effect.direction is Direction.FORWARD else step.compensation


def judge_retry(
    definition: Definition | None, story: Story, seen: Seen, effects: Sequence[EffectRow]
) -> None:
    """Raise `Unsafe` where a retry would be a guess, or could change nothing (S24)."""
    if seen.park_cause is ParkCause.COMPENSATION_REFUSED:
        raise Unsafe(
            f"{story.saga.park_reason}: the service refused for good, and a retry changes nothing. "
            f"Undo it by hand, then say so: `saga resolve {seen.id} STEP --landed`, see `saga why {seen.id}`"
        )
    for effect in effects:
        if is_open(effect) and effect.status is not EffectStatus.IDLE:
            _judge_doubt(definition, story, effect, effects)


def _judge_doubt(
    definition: Definition | None, story: Story, effect: EffectRow, effects: Sequence[EffectRow]
) -> None:
    resolve = (
        f"ask {effect.service} yourself, then `saga resolve {story.saga.id} {effect.step} --landed|--never`"
    )
    handlers = handlers_of(definition, effects, effect)
    if handlers is not None:
        policy, promises = handlers.policy, handlers.service.promises
        if policy.can_probe or promises.dedups or policy.kind is not Kind.EFFECT:
            return
        raise Unsafe(
            f"{named(effect)} is in doubt, has no status handler, and {effect.service} remembers no keys, so a retry "
            f"would be a guess: {resolve}"
        )
    probed = any(
        e.kind == "probe" and (e.step, e.direction) == (effect.step, effect.direction) for e in story.evidence
    )
    if probed or effect.key_expires_at is not None:
        return
    raise Unsafe(
        f"{named(effect)} is in doubt, and nothing recorded shows that it can be asked about or repeated, so a retry may "
        f"be a guess: give --app MODULE:ENGINE to decide by its definition, or {resolve}"
    )


def plan_of(definition: Definition | None, story: Story) -> Plan:
    """What would be settled and undone, if the saga turned now; of one that waits for what landed late, that alone."""
    if story.saga.park_cause is ParkCause.LANDED_LATE:
        late = tuple(e.step for e in landed_late(story) if _undoable(definition, e))
        return Plan((), late, certain=definition is not None)
    forward = [e for e in story.effects if e.direction is Direction.FORWARD]
    settle = tuple(e.step for e in forward if e.status not in SETTLED)
    finished = [
        Finished(e.step, e.position, e.status, undoable=_undoable(definition, e))
        for e in forward
        if e.status in SETTLED
    ]
    return Plan(settle, unwind(finished).steps, certain=definition is not None)


def landed_late(story: Story) -> list[EffectRow]:
    """Effects that landed after they were settled otherwise, and are not undone yet (S16)."""
    done = EffectStatus.SUCCEEDED
    undone = {e.step for e in story.effects if e.direction is Direction.BACKWARD and e.status is done}
    landed = {e.step for e in story.evidence if e.direction is Direction.FORWARD and _says_landed(e)}
    settled = {EffectStatus.REFUSED, EffectStatus.NOT_EXECUTED}
    forward = [e for e in story.effects if e.direction is Direction.FORWARD and e.status in settled]
    return [e for e in forward if e.step in landed - undone]


def _says_landed(seen: EvidenceLine) -> bool:
    return seen.body.get("answer") == "landed" or seen.body.get("outcome") == "succeeded"


def _undoable(definition: Definition | None, effect: EffectRow) -> bool:
    step = None if definition is None else definition.steps.get(effect.name)
    return step is None or step.compensation is not None

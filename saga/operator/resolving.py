"""Settling a doubt by a person's word: asked first, compared, then stated.

Rules that hold here (S37): the service is asked once more, because its answer is proof and a word is not; where both
disagree nothing is stated unless forced; a statement that the service's answer made needless is not made.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from saga.core.model import Direction
from saga.core.verdict import UNSTORABLE
from saga.errors import InputError
from saga.operator import asking
from saga.operator.effects import IN_DOUBT, Definition, lateness_of, named
from saga.operator.errors import Disagrees
from saga.operator.records import ProbeAnswer, Resolution
from saga.operator.sentences import seen_of
from saga.store import operators
from saga.store.acts import Act
from saga.store.operators import Said
from saga.store.queries import Story
from saga.store.sagas import EffectRow
from saga.values import canonical

if TYPE_CHECKING:
    from saga.engine import Engine

UNSAID: Final = object()
"""No result was said."""
SAYS_LANDED = frozenset({"landed"})
SAYS_NEVER = frozenset({"not_found", "refused", "fenced"})
SAYS_WAIT = frozenset({"pending"})


class Resolving:
    """One statement on its way. `answer`: what the service said, once it was asked."""

    def __init__(self, engine: Engine, who: str, because: str, *, landed: bool, result: object) -> None:
        self._engine = engine
        self._who = who
        self._because = because
        self._landed = landed
        self._result = result
        self.answer: ProbeAnswer | None = None

    async def ask_first(self, story: Story, effect: EffectRow, within: timedelta, *, force: bool) -> None:
        """Ask the service, and refuse to state what it contradicts.

        Raises:
            Disagrees: it does. Unsafe: nothing is in doubt. NoWorker: nobody can ask.
        """
        operators.check_statement(seen_of(story.saga), effect, landed=self._landed)
        if operators.waits_for_hands(seen_of(story.saga), effect):
            return  # what a person did by hand is nothing that it would know under our key
        try:
            self.answer = await asking.ask(self._engine, story.saga, effect, self._who, within)
        except asking.CannotBeAsked:
            return
        said = self.answer.answer
        against = SAYS_NEVER if self._landed else SAYS_LANDED | SAYS_WAIT
        if said in against and not force:
            stated = "it landed" if self._landed else "it never landed"
            raise Disagrees(
                f"you state that {stated}, but {effect.service} says {said.replace('_', ' ')!r} of {named(effect)}: "
                "find out who is right; --yes states it all the same"
            )

    async def state(
        self, story: Story, effect: EffectRow, definition: Definition | None, *, force: bool
    ) -> Resolution:
        """State it, unless the service's answer has settled it.

        Raises:
            Unsafe: it is not in doubt. Overtaken: somebody else was first. InputError: the result is wrong.
        """
        settled_by_answer = (
            self.answer is not None and effect.status not in IN_DOUBT and effect.proof != UNSTORABLE
        )
        if settled_by_answer or (
            self.answer is not None and self.answer.answer in SAYS_LANDED and self._landed
        ):
            await self._note(story, effect)
            return Resolution(effect.step, effect.direction, None, self.answer)
        result = self._result_text(effect, definition) if self._landed else None
        said = Said(effect.step, effect.direction, result, lateness_of(effect, definition), insists=force)
        async with self._engine.connection() as connection:
            acted = await operators.resolve(connection, self._engine.schema, self._act(story), said)
        return Resolution(effect.step, effect.direction, acted, self.answer)

    async def _note(self, story: Story, effect: EffectRow) -> None:
        assert self.answer is not None, "it was settled by the service's answer"
        detail = {"step": effect.step, "direction": effect.direction,
                  "says": "landed" if self._landed else "never", "settled_by": self.answer.answer}  # fmt: skip
        async with self._engine.connection() as connection:
            await operators.note(connection, self._engine.schema, self._act(story), "resolve", detail)

    def _act(self, story: Story) -> Act:
        return Act(story.saga.id, story.saga.revision, self._who, self._because)

    def _result_text(self, effect: EffectRow, definition: Definition | None) -> str:
        if effect.direction is Direction.BACKWARD:
            return "null"
        step = None if definition is None else definition.steps.get(effect.name)
        if self._result is UNSAID and (step is None or not step.result.admits_none()):
            known = "" if step else ", or --app MODULE:ENGINE if it gives nothing"
            raise InputError(
                f"the saga goes on with what {effect.step} gave: say it, --result JSON (null for nothing){known}"
            )
        text = canonical(None if self._result is UNSAID else self._result)
        if step is None:
            return text
        try:
            return step.encode_result(step.result.read(text))
        except ValueError as error:
            raise InputError(f"the result does not fit step {step.name}: {error}") from None


def parse_result(text: str) -> object:
    """JSON that a person wrote.

    Raises:
        InputError: it is none.
    """
    try:
        value: object = json.loads(text)
    except ValueError as error:
        raise InputError(
            f'--result is no JSON ({error}): write it like \'{{"id": "ch_1"}}\', or null'
        ) from None
    return value

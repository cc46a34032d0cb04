"""The effects of one saga in a worker's memory, by step identity and direction.

Rules that hold here: a row becomes an effect only with a handler that the code still has; completion numbers
count the effects of the way forward in the order in which they were settled, and replay follows them.
"""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from saga.core.keys import effect_key, request_hash
from saga.core.model import Direction, EffectStatus
from saga.definition import SagaDefinition
from saga.engine import Engine
from saga.steps import Step
from saga.store.changes import EvidenceWrite, OutcomeWrite, WatchWrite
from saga.store.sagas import EffectRow, Recorded, SagaRow
from saga_worker.clocks import Clocks
from saga_worker.effects import Handlers, LiveEffect, from_row
from saga_worker.flow import Begun
from saga_worker.last_good import wish_of
from saga_worker.records import CodeChanged


@dataclass(slots=True)
class Settled:
    """What is to be written of effects that have come to their end."""

    outcomes: list[OutcomeWrite] = field(default_factory=list[OutcomeWrite])
    evidence: list[EvidenceWrite] = field(default_factory=list[EvidenceWrite])
    watches: list[WatchWrite] = field(default_factory=list[WatchWrite])

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.outcomes or self.evidence)


class Book:
    """All effects of one saga."""

    def __init__(
        self, engine: Engine, bodies: Counter[str], saga: SagaRow, definition: SagaDefinition[Any, Any]
    ) -> None:
        """Empty: `load` reads what is recorded. bodies: those that have not returned in this process (S11)."""
        self._engine = engine
        self._bodies = bodies
        self._saga = saga
        self._definition = definition
        self._effects: dict[tuple[str, Direction], LiveEffect] = {}
        self._completions = 0
        self._ungiven: list[tuple[int, str]] = []
        self._unwritten: list[LiveEffect] = []

    def __iter__(self) -> Iterator[LiveEffect]:
        """Every effect."""
        return iter(list(self._effects.values()))

    def get(self, identity: str, direction: Direction) -> LiveEffect | None:
        """The effect, or None."""
        return self._effects.get((identity, direction))

    def of(self, direction: Direction) -> list[LiveEffect]:
        """The effects of one direction."""
        return [e for e in self._effects.values() if e.direction is direction]

    def drop(self, effect: LiveEffect) -> None:
        """There is no such effect: its intent was never written."""
        self._effects.pop((effect.identity, effect.direction), None)

    def load(self, recorded: Recorded, clocks: Clocks) -> None:
        """Take up what is recorded.

        Raises:
            CodeChanged: the code has no such step any more, or its types have changed.
        """
        names = {e.step: e.name for e in recorded.effects if e.direction is Direction.FORWARD}
        for row in recorded.effects:
            step = self._definition.steps.get(names[row.step])
            handlers: Handlers | None = step
            if step is not None and row.direction is Direction.BACKWARD:
                handlers = step.compensation
            if handlers is None:
                raise self._gone(row, step)
            try:
                effect = from_row(row, recorded.evidence[row.step, row.direction], handlers, clocks)
            except ValueError as error:
                raise CodeChanged(str(error), recorded=json.loads(row.arguments), called=str(error)) from None
            self._register(effect)
            if effect.unwritten:
                self._unwritten.append(effect)
            if row.direction is Direction.FORWARD and row.completion is not None:
                self.numbered(row.completion, row.step)

    def _gone(self, row: EffectRow, step: Step[..., Any] | None) -> CodeChanged:
        """What is recorded has no handler in the code any more."""
        reason = (
            f"{row.step} is recorded ({row.direction}), and the code has no such step any more"
            if step is None
            else f"the undo of {row.step} is recorded, and {step.name} has no compensation any more"
        )
        return CodeChanged(reason, recorded=row.step, called=sorted(self._definition.steps))

    def new(self, begun: Begun) -> LiveEffect:
        """An effect that the function calls for the first time."""
        call, step = begun.call, begun.call.step
        effect = LiveEffect(
            call.identity,
            Direction.FORWARD,
            begun.position,
            step,
            self._key(call.identity, Direction.FORWARD),
            request_hash(step.service.name, step.name, call.arguments),
            call.arguments,
            step.decode_arguments(call.arguments),
            wish=wish_of(call),
        )
        self._register(effect)
        return effect

    def undo(self, forward: LiveEffect, result: object) -> LiveEffect:
        """The compensation of an effect that landed.

        Raises:
            CodeChanged: the step has none any more.
        """
        compensation = forward.step.compensation
        if compensation is None:
            raise CodeChanged(
                f"{forward.step.name} has no compensation any more", recorded=forward.identity, called=None
            )
        effect = LiveEffect(
            forward.identity,
            Direction.BACKWARD,
            forward.position,
            compensation,
            self._key(forward.identity, Direction.BACKWARD),
            request_hash(forward.step.service.name, compensation.name, forward.arguments_text),
            forward.arguments_text,
            forward.arguments,
            undoes=(result, forward.key),
        )
        self._register(effect)
        return effect

    def complete(self, effect: LiveEffect) -> None:
        """Number an effect that was just settled; its end is to be written."""
        if effect.unwritten:
            self._unwritten.append(effect)
        if not effect.settled or effect.completion is not None:
            return
        effect.completion = self.next_number(effect.identity) if effect.direction is Direction.FORWARD else 1

    def next_number(self, identity: str) -> int:
        """The number of what has just ended on the way forward: it is given in its turn."""
        self.numbered(self._completions + 1, identity)
        return self._completions

    def numbered(self, completion: int, identity: str) -> None:
        """What has ended under this number, in this life or in an earlier one."""
        self._completions = max(self._completions, completion)
        heapq.heappush(self._ungiven, (completion, identity))

    def next_ended(self) -> str | None:
        """The identity of what ended first on the way forward, of what was not asked for yet."""
        return heapq.heappop(self._ungiven)[1] if self._ungiven else None

    def take_unwritten(self) -> Settled:
        """What is settled and not in the database yet."""
        ended, self._unwritten = self._unwritten, []
        taken = Settled()
        for effect in ended:
            effect.unwritten = False
            taken.outcomes.append(effect.write())
            taken.evidence += effect.take_evidence()
            watch = effect.take_watch()
            if watch is not None:
                taken.watches.append(watch)
        return taken

    def told(self, settled: Settled) -> None:
        """A commit has carried these ends: their replies need not be told as late evidence any more."""
        for outcome in settled.outcomes:
            effect = self.get(outcome.step, outcome.direction)
            if effect is not None:
                effect.untold = None

    def landed_late(self) -> list[LiveEffect]:
        """Effects that landed after they were settled otherwise, and are not undone yet."""
        found = [e for e in self.of(Direction.FORWARD) if e.late is not None]
        undone = {e.identity for e in self.of(Direction.BACKWARD) if e.status is EffectStatus.SUCCEEDED}
        return [e for e in found if e.identity not in undone]

    def _register(self, effect: LiveEffect) -> None:
        effect.token = f"{self._saga.id}/{effect.direction}/{effect.identity}"
        effect.bodies = self._bodies
        self._effects[effect.identity, effect.direction] = effect

    def _key(self, identity: str, direction: Direction) -> str:
        return effect_key(
            self._engine.secret,
            self._engine.namespace,
            saga=self._saga.name,
            business_key=self._saga.key,
            step=identity,
            direction=direction,
        )

"""Operators: they cancel, retry, state and abandon at random moments, two at once, rightly and wrongly.

Rules that hold here: what they do is done by the production functions, on connections of their own; a right statement is
what the ledger says when nothing can land any more; after a wrong one the service tells the truth by a webhook, because
what is promised of a wrong statement is that later evidence against it is never silent (S37).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import psycopg

from saga.answers import Landed
from saga.core.model import Direction, EffectStatus, SagaStatus
from saga.errors import SagaError
from saga.operator.effects import judge_retry
from saga.store import operators, requests
from saga.store.acts import Act, Acted
from saga.store.operators import Said
from saga.store.queries import Story
from saga.store.requests import Question
from saga.testing.invariants.record import Cancelled
from saga.testing.simulation.ledger import Action

if TYPE_CHECKING:
    from saga.testing.simulation.simulation import Simulation

CANCEL, RETRY, STATE, MISSTATE, ABANDON, ASK, AT_ONCE = (
    "an operator cancels a saga",
    "an operator retries a saga",
    "an operator settles a doubt",
    "an operator settles a doubt wrongly",
    "an operator abandons a saga",
    "an operator asks a service",
    "two operators act at once",
)
OPERATORS = (CANCEL, RETRY, RETRY, STATE, STATE, MISSTATE, ABANDON, ASK, AT_ONCE, AT_ONCE)
TRUTH_S = 1.0
"""How long after a wrong statement the service's webhook comes."""
ASKED_S = 2.0
_IN_DOUBT = (EffectStatus.SENT, EffectStatus.DOUBT)
_MOVING = (SagaStatus.READY, SagaStatus.RUNNING, SagaStatus.ASLEEP)
Row = dict[str, Any]


@dataclass
class Desk:
    """Where operators sit. busy: how many are at it. misled, told: sagas of wrong statements; of which the truth is known."""

    simulation: Simulation
    busy: int = 0
    misled: set[str] = field(default_factory=set[str])
    told: set[str] = field(default_factory=set[str])
    cancelled: list[Cancelled] = field(default_factory=list[Cancelled])

    def happen(self, what: str) -> None:
        """Somebody does this to a saga of which that can be said, if there is one."""
        match what:
            case _ if what == CANCEL:
                self._with(self._any(*_MOVING, SagaStatus.PARKED), self._cancel)
            case _ if what == RETRY:
                self._with(self._any(SagaStatus.PARKED, SagaStatus.ASLEEP), self._retry)
            case _ if what == ABANDON:
                self._with(self._any(SagaStatus.PARKED), self._abandon)
            case _ if what == ASK:
                self._with(self._any(*_MOVING, SagaStatus.PARKED), self._ask)
            case _ if what == AT_ONCE:
                row = self._any(*_MOVING, SagaStatus.PARKED)
                self._with(row, self._cancel)
                self._with(row, self._cancel)
            case _:
                self._with(self._any(SagaStatus.PARKED), lambda row: self._state(row, rightly=what == STATE))

    def _any(self, *statuses: SagaStatus) -> Row | None:
        rows = sorted(
            (r for r in self.simulation.database.rows("saga") if r["status"] in statuses),
            key=lambda r: str(r["key"]),
        )
        share = self.simulation.chance.share("which saga")
        return rows[int(share * len(rows))] if rows else None

    def _with(self, row: Row | None, act: Callable[[Row], Awaitable[object]]) -> None:
        if row is None:
            return
        self.busy += 1

        async def go() -> None:
            try:
                with suppress(psycopg.Error, SagaError):
                    await act(row)
            finally:
                self.busy -= 1

        self.simulation.visitor("operator").begin(go())

    # What they do. The row is the saga as they have seen it.

    async def _cancel(self, row: Row) -> None:
        parked = row["status"] == SagaStatus.PARKED
        await self._act(row, operators.compensate if parked else operators.cancel)
        self.cancelled.append(Cancelled(row["key"], self._now()))

    async def _abandon(self, row: Row) -> None:
        await self._act(row, operators.abandon)

    async def _retry(self, row: Row) -> None:
        definition = self.simulation.engine.definition(row["name"], row["version"])
        saga = SimpleNamespace(id=row["id"], park_reason=row["park_reason"])
        story = cast("Story", SimpleNamespace(saga=saga, evidence=()))
        engine = self.simulation.engine
        async with engine.connection() as connection:
            await operators.retry(
                connection,
                engine.schema,
                _act(row),
                lambda seen, found: judge_retry(definition, story, seen, found),
            )

    async def _ask(self, row: Row) -> None:
        engine, effect = self.simulation.engine, self._doubt(row)
        if effect is None:
            return
        question = Question(row["id"], effect["step"], Direction(effect["direction"]), "ann")
        async with engine.connection() as connection:
            within = timedelta(seconds=ASKED_S)
            request = await requests.request_probe(connection, engine.schema, question, within=within)
            for _ in range(int(ASKED_S / 0.2)):
                if (await requests.request_state(connection, engine.schema, request)).answer is not None:
                    return
                await asyncio.sleep(0.2)

    async def _state(self, row: Row, *, rightly: bool) -> None:
        effect = self._doubt(row)
        if effect is None or not self._quiet(row, effect):
            return
        there = self._there(effect)
        landed = there if rightly else not there
        forward = effect["direction"] == Direction.FORWARD
        result = json.dumps(effect["key"]) if forward else "null"
        said = Said(effect["step"], Direction(effect["direction"]), result if landed else None)
        if not rightly:
            self.misled.add(row["key"])
        await self._act(row, lambda c, schema, act: operators.resolve(c, schema, act, said))
        if not rightly and there:
            await asyncio.sleep(TRUTH_S)
            await self.simulation.engine.witness(effect["key"], Landed(effect["key"] if forward else None))
            self.told.add(row["key"])

    async def _act(self, row: Row, do: Callable[[Any, str, Act], Awaitable[Acted]]) -> Acted:
        engine = self.simulation.engine
        async with engine.connection() as connection:
            return await do(connection, engine.schema, _act(row))

    # What they know.

    def _doubt(self, row: Row) -> Row | None:
        """The first effect of the saga that is in doubt."""
        effects = self.simulation.database.rows("effect")
        found = [e for e in effects if e["saga_id"] == row["id"] and e["status"] in _IN_DOUBT]
        return min(found, key=lambda e: (e["position"], e["direction"]), default=None)

    def _there(self, effect: Row) -> bool:
        """Whether it has landed."""
        done = (Action.APPLIED, Action.UNDONE)
        return any(e.named.key == effect["key"] and e.action in done for e in self.simulation.ledger.entries)

    def _quiet(self, row: Row, effect: Row) -> bool:
        """Whether nothing of it can be on its way any more, by true time."""
        simulation = self.simulation
        definition = simulation.engine.definition(row["name"], row["version"])
        step = definition.steps[effect["step"].rpartition("/")[2].partition("#")[0]]
        left = max((s.at for s in simulation.ledger.sent if s.named.key == effect["key"]), default=0.0)
        takes = (step.policy.timeout + step.service.promises.lateness).total_seconds()
        return simulation.machine.now > left + takes + simulation.setting.slow

    def _now(self) -> datetime:
        return self.simulation.database.model.clock()


def _act(row: Row) -> Act:
    return Act(row["id"], row["revision"], "ann", "the simulation wants it")

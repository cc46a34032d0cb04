"""`Operator`: one person at the desk of one engine; see the package for the rules."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from saga.clock import boottime
from saga.core.durations import Duration, parse
from saga.core.model import ENDS
from saga.errors import NotFoundError, StillProcessing
from saga.operator import asking, findings, lookup, why
from saga.operator.effects import Definition, judge_retry, lateness_of, pick, plan_of, same
from saga.operator.findings import Stuck
from saga.operator.records import Preview, ProbeAnswer, Resolution, Why
from saga.operator.resolving import UNSAID, Resolving
from saga.operator.retention import Retention
from saga.operator.sentences import refusal_of, sentence_of, statement_preview
from saga.operator.services import ServiceDesk
from saga.operator.words import plain
from saga.store import operators, queries, services, stuck
from saga.store.acts import Act, Acted, Moved
from saga.store.queries import Group, Query, SagaLine, Story
from saga.store.stuck import WorkerLine

if TYPE_CHECKING:
    from saga.engine import Engine

TRIES = 5
"""So often an act is tried again when the saga itself moved meanwhile; another operator's act is never tried over."""
POLL_FIRST_S, POLL_MOST_S = 0.02, 0.5


class Operator:
    """What `who` may see and do. Acts are audited under this name."""

    def __init__(self, engine: Engine, who: str) -> None:
        self._engine = engine
        self.who = plain("who", who)

    @property
    def retention(self) -> Retention:
        """Purging what has ended long ago, and forgetting what is left of it."""
        return Retention(self._engine, self.who)

    @property
    def services(self) -> ServiceDesk:
        """How services stand, and what may be done to one."""
        return ServiceDesk(self._engine, self.who)

    # Looking.

    async def find(self, saga: str) -> SagaLine:
        """The saga of this id, this business key ("checkout/order:7" where several sagas use it), or id's beginning.

        Raises:
            NotFoundError: there is none. Ambiguous: there are several; the sentence lists them.
        """
        async with self._engine.connection() as connection:
            return await lookup.one(connection, self._engine.schema, saga)

    async def list(self, query: Query | None = None) -> Sequence[SagaLine]:
        """The sagas that fit, newest first; those that have not ended, unless the query says every."""
        async with self._engine.connection() as connection:
            return await queries.matching(connection, self._engine.schema, query or Query())

    async def group(self, query: Query, by: str) -> Sequence[Group]:
        """How many fit, by "name", "error", "step" or "service"."""
        async with self._engine.connection() as connection:
            return await queries.grouped(connection, self._engine.schema, query, by)

    async def stuck(self) -> Stuck:
        """What needs a person, and what moves by itself but slowly, grouped by cause."""
        async with self._engine.connection() as connection:
            return await findings.find_all(connection, self._engine.schema)

    async def workers(self) -> Sequence[WorkerLine]:
        """Every registered worker; one that is silent for too long is there until it is reaped."""
        async with self._engine.connection() as connection:
            return await stuck.workers(connection, self._engine.schema)

    async def show(self, saga: str) -> Story:
        """One saga with everything that is recorded of it."""
        return await self._story(await self.find(saga))

    async def why(self, saga: str) -> Why:
        """Why it does not move, which evidence there is, what would settle it, and what happens next, when (S40)."""
        story = await self.show(saga)
        async with self._engine.connection() as connection:
            stand = await services.every(connection, self._engine.schema)
        return Why(story.saga, why.sentence(story, await self.workers(), stand))

    async def wait(self, saga: str, timeout: Duration | None = None) -> SagaLine:
        """The saga when it has ended.

        Raises:
            StillProcessing: it has not within `timeout`.
        """
        line = await self.find(saga)
        until = None if timeout is None else boottime() + parse(timeout).total_seconds()
        pause = POLL_FIRST_S
        while line.status not in ENDS:
            if until is not None and boottime() >= until:
                raise StillProcessing(
                    f"{line.key} is {line.status}, it has not ended: see `saga why {line.id}`"
                )
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, POLL_MOST_S)
            line = await self.find(str(line.id))
        return line

    # Asking.

    async def probe(self, saga: str, step: str, timeout: Duration = "15s") -> ProbeAnswer:
        """Have a worker ask the service now; recorded as evidence, and nothing else is changed.

        Raises:
            NoWorker: no worker serves the saga, or none took the question in time.
        """
        story = await self.show(saga)
        return await asking.ask(self._engine, story.saga, pick(story, step), self.who, parse(timeout))

    # Acting.

    async def preview(self, act: str, saga: str) -> Preview:
        """What "retry", "compensate", "cancel" or "abandon" would do to it now."""
        story = await self.show(saga)
        plan = plan_of(self._definition(story.saga), story) if act in {"compensate", "cancel"} else None
        refused = refusal_of(act, story, self._definition(story.saga))
        return Preview(story.saga, sentence_of(act, story), refused, plan)

    async def preview_statement(self, saga: str, step: str, *, landed: bool) -> Preview:
        """What `resolve` would state of which effect."""
        story = await self.show(saga)
        effect = pick(story, step)
        lateness = lateness_of(effect, self._definition(story.saga))
        return statement_preview(story, effect, landed=landed, lateness=lateness)

    async def cancel(self, saga: str, *, because: str, revision: int | None = None) -> Acted:
        """Request that a saga turns backward when what is in flight is settled (S31).

        Args:
            saga: id or key.
            because: why; audited.
            revision: which revision of it you saw; by default the present one.

        Raises:
            Unsafe: too late. Overtaken: somebody else was first.
        """

        async def go(act: Act) -> Acted:
            async with self._engine.connection() as connection:
                return await operators.cancel(connection, self._engine.schema, act)

        return await self._act(saga, because, revision, go)

    async def compensate(self, saga: str, *, because: str, revision: int | None = None) -> Acted:
        """Request that a parked saga is undone. As `cancel`; Unsafe where it is not parked."""

        async def go(act: Act) -> Acted:
            async with self._engine.connection() as connection:
                return await operators.compensate(connection, self._engine.schema, act)

        return await self._act(saga, because, revision, go)

    async def abandon(self, saga: str, *, because: str, revision: int | None = None) -> Acted:
        """End a saga without claiming that anything was undone (S38). Unsafe while a worker runs it."""

        async def go(act: Act) -> Acted:
            async with self._engine.connection() as connection:
                return await operators.abandon(connection, self._engine.schema, act)

        return await self._act(saga, because, revision, go)

    async def retry(self, saga: str, *, because: str, revision: int | None = None) -> Acted:
        """Wake a saga that is parked or asleep, with new budgets. Unsafe where that would be a guess (S24).

        Of one that has ended in alarm: you have seen the alarm, it is over, and nothing else is done.
        """

        async def go(act: Act) -> Acted:
            story = await self.show(str(act.saga_id))
            definition = self._definition(story.saga)
            async with self._engine.connection() as connection:
                return await operators.retry(
                    connection, self._engine.schema, act,
                    lambda seen, effects: judge_retry(definition, story, seen, effects),
                )  # fmt: skip

        return await self._act(saga, because, revision, go)

    async def resolve(
        self,
        saga: str,
        step: str,
        *,
        landed: bool,
        because: str,
        result: object = UNSAID,
        no_probe: bool = False,
        force: bool = False,
        timeout: Duration = "15s",
    ) -> Resolution:
        """State that an effect landed, or that it never did and never will: evidence, not an outcome (S37).

        Args:
            saga: id or key.
            step: charge#1, charge, or the name of a compensation.
            landed: what is stated.
            because: why; audited.
            result: what the step gave, as JSON values; must fit its type where the definition is known.
            no_probe: do not ask the service first.
            force: state it although the service says otherwise.
            timeout: for the service's answer.

        Raises:
            Unsafe: it is not in doubt. Disagrees: the service says otherwise. NoWorker: nobody can ask.
        """
        resolving = Resolving(self._engine, self.who, plain("because", because), landed=landed, result=result)
        for _ in range(TRIES):
            story = await self.show(saga)
            effect = pick(story, step)
            try:
                known = self._definition(story.saga)
                if not no_probe:
                    await resolving.ask_first(story, effect, parse(timeout), force=force)
                    story = await self.show(str(story.saga.id))
                    effect = same(story, effect)
                return await resolving.state(story, effect, known, force=force)
            except Moved:
                no_probe = no_probe or resolving.answer is not None
        raise Moved(f"{saga} moves too fast to be resolved by hand: try again")

    async def _act(
        self, saga: str, because: str, revision: int | None, go: Callable[[Act], Awaitable[Acted]]
    ) -> Acted:
        """Do it to the revision that was seen; without one, to the newest, again when the saga itself moved."""
        reason = plain("because", because)
        line = await self.find(saga)
        for attempt in range(TRIES):
            seen = line.revision if revision is None else revision
            try:
                return await go(Act(line.id, seen, self.who, reason))
            except Moved:
                if revision is not None or attempt == TRIES - 1:
                    raise
                line = await self.find(str(line.id))
        raise AssertionError("unreachable")

    async def _story(self, line: SagaLine) -> Story:
        async with self._engine.connection() as connection:
            story = await queries.story(connection, self._engine.schema, line)
        if story is None:
            raise NotFoundError(f"{line.key} is gone: it was there a moment ago")
        return story

    def _definition(self, line: SagaLine) -> Definition | None:
        return self._engine.registry.sagas.get((line.name, line.version))

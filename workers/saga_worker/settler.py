"""Takes one effect from its first intent to its end: asks the rules, does what they say, asks again.

Rules that hold here: no byte leaves before its intent is durable and the budget and the lease are checked
(S5, S11); every observation is written before the next act follows from it, except a last one, which goes
with the saga's next write; after the claim is lost nothing is written but evidence (S33); a service that is open or held is not called:
nothing is intended, and the effect waits until it is let in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from saga.calls import Call
from saga.core.decide import Accept, AwaitReply, Park, Probe, Send, Settle, Wait, decide
from saga.core.evidence import EvidenceKind, Phase, Probed, Replied
from saga.core.facts import Want
from saga.core.model import Direction, EffectStatus, NotExecuted, Outcome, Unknown
from saga.core.verdict import Verdict
from saga.ids import uuid7
from saga.store.changes import Intent, Written
from saga_worker.book import Settled
from saga_worker.effects import LiveEffect, Parking
from saga_worker.last_good import look_up
from saga_worker.services import Leave

if TYPE_CHECKING:
    from saga_worker.runner import Run


class ClaimLost(Exception):
    """Another worker may own the saga."""


class Settler:
    """Settles one effect of one run."""

    def __init__(self, run: Run, effect: LiveEffect) -> None:
        """Nothing happens before `settle`."""
        self._run = run
        self._effect = effect
        self._nudge = asyncio.Event()

    def nudge(self) -> None:
        """What the effect waits for may have changed: look again, and until then it does not count as waiting."""
        self._effect.waiting_until = None
        self._nudge.set()

    async def settle(self, first: Written | None) -> None:
        """Do what the rules say until the effect is settled, parked, or not ours any more.

        first: what became of the write that carries the intent of attempt 1, when there was one.
        """
        effect = self._effect
        if first is not None and not await self._begin(1, first, Leave(effect.step.service.name)):
            return
        while True:
            want = self._run.want(effect)
            facts = effect.facts(self._run.clocks, self._run.worker.services.stands(effect.step.service.name))
            command = decide(facts, want, self._run.clocks.now(), effect.jitter)
            match command:
                case Settle(verdict) if effect.attempt == 0:
                    self._never_sent(verdict)
                    return
                case Settle(verdict):
                    if await look_up(self._run, effect, verdict.outcome, want):
                        continue
                    effect.conclude(verdict)
                    self._run.worker.last_good.returned(effect, verdict.outcome)
                    self._run.alarmed(effect, verdict)
                    return
                case Accept(_):
                    effect.status, effect.unwritten = EffectStatus.ACCEPTED, True
                    return
                case Park(reason, cause):
                    await self._save()
                    effect.parked = Parking(cause, f"{_called(effect)}: {reason}", effect.named())
                    return
                case Wait(until, _):
                    await self._save()
                    await self._wait(until)
                case Send() | Probe():
                    await self._call_out(command)
                case AwaitReply():
                    raise AssertionError(f"{effect.identity} is in flight in two places")

    def _never_sent(self, verdict: Verdict) -> None:
        """It waited for its service before its first intent, and is not wanted any more: nothing of it was written."""
        effect, run = self._effect, self._run
        if run.turning:
            effect.unwanted = True
            run.never_began(effect)
        else:  # the function gave it up, and is told; should it be replayed, it will give it up again
            effect.conclude(verdict)
            effect.unwritten = False

    async def _call_out(self, command: Send | Probe) -> None:
        """Send or ask, if the service lets us; else wait until it does."""
        effect, services = self._effect, self._run.worker.services
        name = effect.step.service.name
        leave = Leave(name) if services.lets_all_in(name) else await services.leave(name)
        if leave is None:
            await self._save()
            effect.held = name
            try:
                await self._wait(services.look_at(name))
            finally:
                effect.held = None
            return
        try:
            if isinstance(command, Send):
                await self._begin(command.attempt, await self._intend(command.attempt), leave)
            else:
                await self._save()
                await self._probe(command.phase, leave)
        finally:
            services.give_back(leave)

    async def _begin(self, attempt: int, written: Written, leave: Leave) -> bool:
        """Make the attempt whose intent was written; False when the intent was refused (S32)."""
        effect, run = self._effect, self._run
        if not written.held:
            raise ClaimLost
        too_late = written.cancel_requested and not run.turning.cancelled(requested=True)
        if (effect.identity, effect.direction) not in written.intents:
            if too_late:  # what refused it is being taken back (S30)
                await run.turning.taken_back()
                return await self._begin(attempt, await self._intend(attempt), leave)
            effect.unwanted = True
            if attempt == 1:
                run.never_began(effect)
            return False
        effect.intended(attempt, written.now, written.boot)
        effect.in_flight = attempt
        try:
            outcome = await self._attempt(attempt, written.boot)
        finally:
            effect.in_flight = 0
        effect.ended = run.clocks.now()
        excused = run.worker.services.saw(effect.step.service, outcome, leave)
        if run.lost:
            await run.worker.witness(run, effect, Replied(attempt, outcome, EvidenceKind.LATE_REPLY))
            raise ClaimLost
        effect.untold = Replied(attempt, outcome, excused=excused)
        effect.observe(effect.untold)
        return True

    async def _attempt(self, attempt: int, boot: float) -> Outcome:
        memory, saga_id = self._run.worker.memory, self._run.saga.id
        memory.called(saga_id, boot)
        try:
            return await self._made(attempt, boot)
        finally:
            memory.returned(saga_id)

    async def _made(self, attempt: int, boot: float) -> Outcome:
        effect, run = self._effect, self._run
        deadline = boot + effect.policy.timeout.total_seconds()
        call = self._call(attempt, deadline)
        if run.clocks.boot() >= deadline:
            return NotExecuted("the budget was spent before the call", rule="budget")
        if run.lost or not run.clocks.holds(run.lane):
            return NotExecuted("the lease was too old before the call", rule="lease")
        if not call.wanted:
            return NotExecuted("not wanted any more before the call", rule="unwanted")

        def late(outcome: Outcome) -> None:
            run.late(effect, Replied(attempt, outcome, EvidenceKind.LATE_REPLY))

        # A stop in mid-call leaves the intent without an outcome: whoever claims the saga next finds it lost (S34).
        return await run.performer.attempt(effect, call, late)

    async def _probe(self, phase: Phase, leave: Leave) -> None:
        effect, run = self._effect, self._run
        asked_at = run.clocks.now()
        call = self._call(effect.attempt, run.clocks.boot() + effect.policy.timeout.total_seconds())
        answer = await run.performer.probe(effect, call)
        run.worker.services.heard(answer, leave)
        seen = Probed(effect.facts(run.clocks).attempts, answer, phase, asked_at)
        if run.lost:
            await run.worker.witness(run, effect, seen)
            raise ClaimLost
        effect.observe(seen)

    def _call(self, attempt: int, deadline_boot: float) -> Call:
        effect = self._effect
        undone = effect.undoes[1] if effect.undoes else None
        wanted = self._run.want(effect) is Want.WANTED
        return Call(
            effect.key, undone, attempt, str(self._run.saga.id), effect.identity, deadline_boot, wanted
        )

    async def _wait(self, until: datetime) -> None:
        """Until then, or until something changes. A long wait may take the saga out of memory meanwhile."""
        effect, run = self._effect, self._run
        effect.waiting_until = until
        run.go_on_soon()
        seconds = max(0.0, (until - run.clocks.now()).total_seconds())
        try:
            async with asyncio.timeout(seconds + 0.001):
                await self._nudge.wait()
        except TimeoutError:
            pass
        finally:
            effect.waiting_until = None
            self._nudge.clear()

    async def _intend(self, attempt: int) -> Written:
        """Write the intent of an attempt, and with it what was observed of those before."""
        return await self._write(self._observed(), [intent(self._effect, attempt)])

    async def _save(self) -> None:
        """Write what was observed, and where the effect stands, before anything follows from it."""
        observed = self._observed()
        if observed:
            written = await self._write(observed)
            if not written.held:
                raise ClaimLost
            self._run.turning.cancelled(requested=written.cancel_requested)

    async def _write(self, observed: Settled, intents: Sequence[Intent] = ()) -> Written:
        written = await asyncio.shield(self._run.submit(observed, intents=intents))
        if observed and written.held:
            self._effect.untold = None
        return written

    def _observed(self) -> Settled:
        """What is not in the database yet, and where the effect stands by it."""
        effect = self._effect
        if not effect.unsaved or effect.attempt == 0:
            return Settled()
        effect.outcome = None
        effect.status = (
            EffectStatus.DOUBT if isinstance(effect.facts_outcome(), Unknown) else EffectStatus.IDLE
        )
        if effect.status is EffectStatus.DOUBT:
            effect.doubt_since = effect.doubt_since or self._run.clocks.now()
        else:
            effect.doubt_since = None
        return Settled([effect.write()], effect.take_evidence())


def intent(effect: LiveEffect, attempt: int) -> Intent:
    """What makes an attempt durable before it is sent (S5)."""
    lifetime = effect.step.service.promises.key_lifetime
    return Intent(
        step=effect.identity,
        direction=effect.direction,
        attempt=attempt,
        intent_id=uuid7(),
        position=effect.position,
        name=effect.handlers.name if effect.direction is Direction.BACKWARD else effect.step.name,
        service=effect.step.service.name,
        key=effect.key,
        request_hash=effect.request_hash,
        arguments=effect.arguments_text,
        timeout=effect.policy.timeout.total_seconds(),
        key_lifetime=None if lifetime is None else lifetime.total_seconds(),
    )


def _called(effect: LiveEffect) -> str:
    return effect.identity if effect.direction is Direction.FORWARD else f"undo of {effect.identity}"

"""Drives one claimed saga: forward by its function, then, if it must, backward by its plan.

Rules that hold here: everything that follows from one observation is written in one unit, so the outcome of
a step travels with the intent of the next; after the function has failed nothing new starts, what is in
flight is settled, and only then the plan is frozen (S27); resting and ending are refused while the inbox
moved. The function is driven from plain callbacks of the worker's loop; only settlers are tasks.
"""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog

from saga.core.evidence import Evidence, Replied
from saga.core.facts import Want
from saga.core.keys import effect_key, request_hash
from saga.core.model import Direction, EndCause, ParkCause, SagaStatus
from saga.definition import SagaDefinition
from saga.ids import uuid7
from saga.store.changes import (
    DeclaredDead,
    EvidenceWrite,
    Intent,
    NotStorable,
    OutcomeWrite,
    SagaWrite,
    Unit,
    Written,
)  # fmt: skip
from saga.store.sagas import Recorded, SagaRow
from saga_worker import backward, records
from saga_worker.backward import Backward
from saga_worker.effects import LiveEffect, from_row
from saga_worker.flow import Begun
from saga_worker.forward import Forward
from saga_worker.records import CodeChanged, Parking
from saga_worker.settler import ClaimLost, Settler

if TYPE_CHECKING:
    from saga_worker.worker import Worker

log = structlog.get_logger("saga")

LINGER = timedelta(seconds=2)
"""A saga that waits longer than this leaves the worker's memory."""


class Run:
    """One claim of one saga, in memory."""

    def __init__(
        self,
        worker: Worker,
        lane: int,
        saga: SagaRow,
        definition: SagaDefinition[Any, Any],
        recorded: Recorded | None,
    ) -> None:
        """Nothing happens before `begin`."""
        self.worker = worker
        self.lane = lane
        self.saga = saga
        self.definition = definition
        self.clocks = worker.clocks
        self.performer = worker.performer
        self.effects: dict[tuple[str, Direction], LiveEffect] = {}
        self.inbox = saga.inbox
        self.lost = False
        self.alarm: str | None = None
        self._recorded = recorded
        self._settlers: dict[LiveEffect, tuple[Settler, asyncio.Task[None]]] = {}
        self._forward: Forward | None = None
        self._backward: Backward | None = None
        self._turning: dict[str, Any] | None = None
        self._parking: Parking | None = None
        self._completions = 0
        self._resting = False

    # Entering and leaving.

    def begin(self) -> None:
        """Take up the saga where its record ends. A plain callback."""
        self._guarded(self._begin)

    def go_on(self) -> None:
        """Look again at what follows. A plain callback."""
        self._guarded(self._continue)

    def go_on_soon(self) -> None:
        """The same, from inside a task."""
        asyncio.get_running_loop().call_soon(self.go_on)

    def lose(self) -> None:
        """The claim is gone: write nothing more; calls in flight go on, and tell what they see as evidence."""
        self.lost = True
        for effect, (_, task) in self._settlers.items():
            if effect.in_flight == 0:
                task.cancel()
        if self._forward is not None:
            asyncio.get_running_loop().call_soon(self._forward.close)

    async def stop(self) -> None:
        """End every task of it, whatever it is doing (S34)."""
        tasks = [task for _, task in self._settlers.values()]
        self.lose()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self) -> None:
        self._load()
        records.check_loaded(self.saga, self.effects.values())
        if self.saga.direction == Direction.BACKWARD:
            self._backward = Backward(self, tuple(json.loads(self.saga.plan or "{}")["steps"]))
        elif self.saga.cancel_requested:
            self._turn(EndCause.CANCELLED, {"message": "cancel was requested"})
        elif not self._past_deadline():
            self._forward = Forward(self)
        self._continue()

    def _load(self) -> None:
        if self._recorded is None:
            return
        names = {e.step: e.name for e in self._recorded.effects if e.direction is Direction.FORWARD}
        for row in self._recorded.effects:
            step = self.definition.steps.get(names[row.step])
            handlers = step if step is None or row.direction is Direction.FORWARD else step.compensation
            if handlers is None:
                raise CodeChanged(
                    f"{row.step} is recorded ({row.direction}), and the code has no such step any more",
                    recorded=row.step,
                    called=sorted(self.definition.steps),
                )
            try:
                effect = from_row(
                    row, self._recorded.evidence[row.step, row.direction], handlers, self.clocks
                )
            except ValueError as error:
                raise CodeChanged(str(error), recorded=json.loads(row.arguments), called=str(error)) from None
            self.register(effect)
            if row.direction is Direction.FORWARD:
                self._completions = max(self._completions, row.completion or 0)
        self._recorded = None

    # The turn of the wheel.

    def _continue(self) -> None:
        """Go on from where things stand, and write what follows in one unit."""
        if self._resting:
            return
        self._past_deadline()
        fresh = [] if self.worker.draining else self._advance()
        if self._turning is not None and self._backward is None:
            self._settle_everything()
        outcomes, evidence = self._unwritten()
        intents = [Settler(self, effect).first_intent() for effect in fresh]
        saga = None if fresh else self._rest()
        if intents or outcomes or evidence or saga is not None:
            done = self.submit(intents=intents, outcomes=outcomes, evidence=evidence, saga=saga)
            done.add_done_callback(self._written)
            for effect in fresh:
                self._start(effect, done)

    def _advance(self) -> list[LiveEffect]:
        if self._parking is not None:
            return []
        if self._backward is not None:
            fresh = self._backward.advance()
            self._parking = self._backward.parking
            return fresh
        if self._forward is None or self._turning is not None:
            return []
        fresh = self._forward.advance()
        self._parking = self._forward.parking
        if self._forward.failed is not None:
            cause, error = self._forward.failed
            self._turn(cause, records.failure(error))
        return fresh

    def _turn(self, cause: EndCause, error: dict[str, Any]) -> None:
        """From now on nothing new starts; what is in flight is settled as not wanted."""
        if self._turning is None and self._backward is None:
            self._turning = {"cause": cause.value, **error}
            self.nudge_all()
            self.go_on_soon()

    def _past_deadline(self) -> bool:
        deadline = self.saga.deadline_at
        if deadline is None or self._backward is not None or self.clocks.now() < deadline:
            return False
        self._turn(EndCause.DEADLINE, {"message": "the saga's deadline passed"})
        return True

    def _settle_everything(self) -> None:
        if self._forward is not None:
            self._forward.close()
        for effect in self.of(Direction.FORWARD):
            self.resume(effect)

    # Where the saga's row goes when nothing moves any more.

    def _rest(self) -> SagaWrite | None:
        if any(e.waiting_until is None for e in self._settlers):
            return None
        write = self._resting_place()
        if write is not None:
            self._resting = True
            write = replace(write, alarm=self.alarm, degraded=self._degraded())
        return write

    def _resting_place(self) -> SagaWrite | None:
        waits = [e.waiting_until for e in self._settlers if e.waiting_until is not None]
        if waits:
            return self._asleep(waits) if self.worker.draining or self._may_sleep(waits) else None
        stuck = [e for e in self.effects.values() if e.parked is not None]
        if self._parking is not None or stuck:
            parking = self._parking or records.of_effect(stuck[0])
            log.warning("saga_parked", saga_id=str(self.saga.id), cause=parking.cause, reason=parking.reason)
            return parking.write(self._direction(), self.inbox, self.alarm)
        return self._end() or self._released()

    def _end(self) -> SagaWrite | None:
        if self._backward is not None:
            return self._backward.compensated(self.inbox)
        if self._turning is not None:
            return backward.turned(self, backward.plan_of(self), self._turning)
        return None if self._forward is None else self._forward.completed(self.inbox)

    def _released(self) -> SagaWrite | None:
        if not self.worker.draining:
            return None
        return SagaWrite(SagaStatus.READY, self._direction(), seen=None)

    def _asleep(self, waits: list[datetime]) -> SagaWrite:
        until = min(waits)
        if self.saga.deadline_at is not None and self._backward is None and self._turning is None:
            until = min(until, self.saga.deadline_at)
        return records.asleep(self._direction(), self.inbox, until, (e.identity for e in self._settlers))

    def _may_sleep(self, waits: list[datetime]) -> bool:
        """A long wait leaves memory, unless a body of ours is still out there: nobody else would know (S11)."""
        return min(waits) - self.clocks.now() > LINGER and not any(e.open for e in self.effects.values())

    def _direction(self) -> Direction:
        turned = self._backward is not None or self.saga.direction == Direction.BACKWARD
        return Direction.BACKWARD if turned else Direction.FORWARD

    def _degraded(self) -> str | None:
        found = {} if self._forward is None else self._forward.degradations
        rows = [{"step": step, "reason": records.clean(reason)} for step, reason in found.items()]
        return json.dumps(rows) if rows else None

    # Writing.

    def submit(
        self,
        *,
        intents: list[Intent] | None = None,
        outcomes: list[OutcomeWrite] | None = None,
        evidence: list[EvidenceWrite] | None = None,
        saga: SagaWrite | None = None,
    ) -> asyncio.Future[Written]:
        """Hand a unit to the journal; the future tells what became of it."""
        done: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
        unit = Unit(
            self.saga.id, self.saga.epoch, uuid7(), done, intents or [], outcomes or [], evidence or [], saga
        )
        if self.lost:
            done.set_exception(DeclaredDead())
            done.exception()  # perhaps nobody waits for it any more
        else:
            self.worker.journal(self.lane).submit(unit)
        return done

    def _unwritten(self) -> tuple[list[OutcomeWrite], list[EvidenceWrite]]:
        outcomes: list[OutcomeWrite] = []
        evidence: list[EvidenceWrite] = []
        for effect in self.effects.values():
            if effect.unwritten and effect not in self._settlers:
                effect.unwritten = False
                outcomes.append(effect.write())
                evidence += effect.take_evidence()
        return outcomes, evidence

    def _written(self, done: asyncio.Future[Written]) -> None:
        """A unit of the run itself is durable, or failed. A plain callback."""
        error = done.exception()
        if self.lost or isinstance(error, DeclaredDead):
            return  # the worker ends every run
        if error is not None:
            self.broken(error)
        elif not done.result().held:
            self.worker.lost(self)
        else:
            self._guarded(lambda: self._after_write(done.result()))

    def _after_write(self, written: Written) -> None:
        if not self._resting:
            self.noticed(written)
        elif not written.moved:
            self.worker.restart(self)  # the inbox moved: look at the record again, under the same claim
        elif self._turning is not None and self._backward is None and backward.plan_of(self).steps:
            self._resting = False
            self._backward = Backward(self, backward.plan_of(self).steps)
            self._continue()
        else:
            self.worker.forget(self)

    def noticed(self, written: Written) -> None:
        """What a commit told besides: a cancel was requested (S31)."""
        if written.cancel_requested:
            self._turn(EndCause.CANCELLED, {"message": "cancel was requested"})

    # What settlers and the function need.

    def want(self, effect: LiveEffect) -> Want:
        """Whether the saga still wants it (S14, S15)."""
        if effect.direction is Direction.BACKWARD:
            return Want.WANTED
        given_up = self._forward is not None and self._forward.unwanted(effect.identity)
        unwanted = self._turning is not None or effect.unwanted or given_up or self._past_deadline()
        return Want.UNWANTED if unwanted else Want.WANTED

    def never_began(self, effect: LiveEffect) -> None:
        """The database refused its intent (S32): there is no such effect."""
        self.effects.pop((effect.identity, effect.direction), None)

    def late(self, effect: LiveEffect, seen: Replied) -> None:
        """A body returned after its budget (S25)."""
        if effect in self._settlers and not self.lost and not effect.settled:
            effect.observe(seen)
            self._settlers[effect][0].nudge()
        else:
            self.worker.witness_soon(self, effect, seen)
        self.go_on_soon()

    async def witness(self, effect: LiveEffect, seen: Evidence) -> None:
        """Keep what was seen of a saga that is not ours any more."""
        await self.worker.witness(self, effect, seen)

    def new_effect(self, begun: Begun) -> LiveEffect:
        """An effect that the function calls for the first time."""
        call, step = begun.call, begun.call.step
        effect = LiveEffect(
            call.identity,
            Direction.FORWARD,
            begun.position,
            step,
            self.key(call.identity, Direction.FORWARD),
            request_hash(step.service.name, step.name, call.arguments),
            call.arguments,
            step.decode_arguments(call.arguments),
        )
        self.register(effect)
        return effect

    def register(self, effect: LiveEffect) -> None:
        """One more effect of this saga."""
        effect.token = f"{self.saga.id}/{effect.direction}/{effect.identity}"
        effect.bodies = self.performer.bodies
        self.effects[effect.identity, effect.direction] = effect

    def key(self, identity: str, direction: Direction) -> str:
        """The idempotency key of an effect (S7)."""
        engine = self.worker.engine
        return effect_key(
            engine.secret,
            engine.namespace,
            saga=self.saga.name,
            business_key=self.saga.key,
            step=identity,
            direction=direction,
        )

    def of(self, direction: Direction) -> list[LiveEffect]:
        """The effects of one direction."""
        return [e for e in self.effects.values() if e.direction is direction]

    def idle(self) -> bool:
        """Whether nothing is under way and nothing waits for a person."""
        return not self._settlers and not any(e.parked for e in self.effects.values())

    def nudge_all(self) -> None:
        """What effects wait for may have changed."""
        for settler, _ in self._settlers.values():
            settler.nudge()

    def resume(self, effect: LiveEffect) -> None:
        """Go on settling an effect that an earlier claim, or the function, has left."""
        if not effect.settled and effect not in self._settlers and effect.parked is None:
            self._start(effect, None)

    # Plumbing.

    def _start(self, effect: LiveEffect, first: asyncio.Future[Written] | None) -> None:
        settler = Settler(self, effect)
        task = asyncio.get_running_loop().create_task(settler.settle(first), name=effect.identity)
        self._settlers[effect] = (settler, task)
        task.add_done_callback(lambda done: self._settled(effect, done))

    def _settled(self, effect: LiveEffect, task: asyncio.Task[None]) -> None:
        """A settler ended. A plain callback, and so a place from which the function may be driven."""
        self._settlers.pop(effect, None)
        if task.cancelled():
            return
        error = task.exception()
        if self.lost or isinstance(error, DeclaredDead):
            return
        if isinstance(error, ClaimLost):
            self.worker.lost(self)
        elif error is not None:
            self.broken(error)
        else:
            self._guarded(lambda: self._concluded(effect))

    def _concluded(self, effect: LiveEffect) -> None:
        if effect.settled and effect.completion is None:
            if effect.direction is Direction.FORWARD:
                self._completions += 1
            effect.completion = self._completions if effect.direction is Direction.FORWARD else 1
        self._continue()

    def _guarded(self, action: Callable[[], None]) -> None:
        """Run one callback; what it raises parks the saga and never stops the worker."""
        if self.lost:
            return
        try:
            action()
        except CodeChanged as changed:
            self._parking = Parking(ParkCause.CODE_CHANGED, str(changed), changed.detail)
            self._continue()
        except Exception as error:  # noqa: BLE001 - one saga's bug must not stop the others
            self.broken(error)

    def broken(self, error: BaseException) -> None:
        """Something here, or a value, is at fault: park at once, with all that is known."""
        cause = ParkCause.UNSTORABLE if isinstance(error, NotStorable) else ParkCause.CODE_FAILED
        log.error("saga_run_failed", saga_id=str(self.saga.id), exc_info=error)
        detail = {"traceback": records.clean("".join(traceback.format_exception(error)))}
        parking = Parking(cause, f"{type(error).__name__}: {error}", detail)
        done = self.submit(saga=parking.write(self._direction(), None, self.alarm))
        done.add_done_callback(lambda _: self.worker.forget(self))

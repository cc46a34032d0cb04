"""Drives one claimed saga: forward by its function, then, if it must, backward by its plan.

Rules that hold here: everything that follows from one observation is written in one unit, so the outcome of
a step travels with the intent of the next; after the function has failed nothing new starts, what is in
flight is settled, and only then the plan is frozen (S27); resting and ending are refused while the inbox
moved. The function is driven from plain callbacks of the worker's loop; only settlers are tasks.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from saga.core.evidence import EvidenceKind, Replied
from saga.core.facts import Want
from saga.core.model import Direction, ParkCause, SagaStatus
from saga.core.verdict import Verdict
from saga.definition import SagaDefinition
from saga.ids import uuid7
from saga.logs import log
from saga.store.changes import (
    DeclaredDead,
    Intent,
    SagaWrite,
    Unit,
    Written,
)  # fmt: skip
from saga.store.sagas import Recorded, SagaRow
from saga_worker import backward, records
from saga_worker.amending import Amending
from saga_worker.backward import Backward
from saga_worker.book import Book, Settled
from saga_worker.effects import LiveEffect, Parking
from saga_worker.forward import Forward
from saga_worker.moments import NOTHING as NO_MOMENTS
from saga_worker.moments import Moments, Taken
from saga_worker.records import CodeChanged
from saga_worker.resting import resting_place
from saga_worker.settler import ClaimLost, intent
from saga_worker.settlers import Settlers
from saga_worker.turning import Turning

if TYPE_CHECKING:
    from saga_worker.worker import Worker


NOTHING = Settled()


class Run:
    """One claim of one saga, in memory."""

    def __init__(
        self,
        worker: Worker, lane: int, saga: SagaRow, definition: SagaDefinition[Any, Any], recorded: Recorded | None,
    ) -> None:  # fmt: skip
        """Nothing happens before `begin`."""
        self.worker = worker
        self.lane = lane
        self.saga = saga
        self.definition = definition
        self.clocks = worker.clocks
        self.performer = worker.performer
        self.effects = Book(worker.engine, worker.performer.bodies, saga, definition)
        self.moments = Moments(self)
        self.inbox = saga.inbox
        self.lost = False
        self.alarm: str | None = None
        self._recorded = recorded
        self._loop = asyncio.get_running_loop()
        self.settlers = Settlers(self, self._settled)
        self.forward: Forward | None = None
        self.backward: Backward | None = None
        self.amending: Amending | None = None
        self.turning = Turning(self)
        self.parking: Parking | None = None
        self._resting = False

    def begin(self) -> None:
        """Take up the saga where its record ends. A plain callback."""
        self._guarded(self._begin)

    def go_on(self) -> None:
        """Look again at what follows. A plain callback."""
        self._guarded(self._continue)

    def go_on_soon(self) -> None:
        """The same, from inside a task."""
        self._loop.call_soon(self.go_on)

    def lose(self) -> None:
        """The claim is gone: write nothing more; calls in flight go on, and tell what they see as evidence."""
        self.lost = True
        self.settlers.cancel_idle()
        self.moments.disarm()
        if self.forward is not None:
            self._loop.call_soon(self.forward.close)

    def testify(self) -> None:
        """The claim is gone before a commit could carry what services replied: keep it as evidence (S25)."""
        for effect in self.effects:
            if effect.untold is not None:
                seen, effect.untold = effect.untold, None
                self.worker.witness_soon(self, effect, replace(seen, late=EvidenceKind.LATE_REPLY))

    async def stop(self) -> None:
        """End every task of it, whatever it is doing (S34)."""
        self.lose()
        await self.settlers.end()

    def _begin(self) -> None:
        if self._recorded is not None:
            self.effects.load(self._recorded, self.clocks)
            self.moments.load(self._recorded)
            self._recorded = None
        records.check_loaded(self.saga, self.effects, (moment.completion for moment in self.moments.ends))
        if self.saga.amendment is not None:
            self.amending = Amending(self, self.saga.amendment)
        elif self.saga.direction == Direction.BACKWARD:
            self.backward = Backward(self, tuple(json.loads(self.saga.plan or "{}")["steps"]))
        elif not self.turning.at_once():
            self.forward = Forward(self)
        self._continue()

    def _continue(self) -> None:
        """Go on from where things stand, and write what follows in one unit."""
        if self._resting:
            return
        self.turning.past_deadline()
        fresh = [] if self.worker.draining else self._advance()
        if self.turning and self.backward is None:
            self._settle_everything()
        let_in = [e for e in fresh if self.worker.services.lets_all_in(e.step.service.name)]
        done = self.write(None if fresh else self._rest(), [intent(effect, 1) for effect in let_in])
        for effect in fresh:
            self.settlers.start(effect, done if effect in let_in else None)
        if not self._resting:
            self.moments.arm()

    def _advance(self) -> list[LiveEffect]:
        if self.parking is not None:
            return []
        way_back = self.amending or self.backward
        if way_back is not None:
            fresh = way_back.advance()
            self.parking = way_back.parking
            return fresh
        if self.forward is None or self.turning:
            return []
        fresh = self.forward.advance()
        self.parking = self.forward.parking
        if self.forward.failed is not None:
            cause, error = self.forward.failed
            self.turning.turn(cause, records.failure(error))
        return fresh

    def _settle_everything(self) -> None:
        if self.forward is not None:
            self.forward.close()
        for effect in self.effects.of(Direction.FORWARD):
            self.resume(effect)

    def _rest(self) -> SagaWrite | None:
        """Where the saga's row goes, when nothing of it moves any more."""
        waits = self.settlers.waits()
        write = None if waits is None else resting_place(self, [*waits, *self.moments.waits()])
        if write is not None:
            self._resting = True
            degraded = None if self.forward is None else records.degraded(self.forward.degradations)
            write = replace(write, alarm=self.alarm, degraded=degraded)
        return write

    def direction(self) -> Direction:
        """Which way it goes."""
        turned = self.backward is not None or self.saga.direction == Direction.BACKWARD
        return Direction.BACKWARD if turned else Direction.FORWARD

    def write(self, saga: SagaWrite | None, intents: Sequence[Intent] = ()) -> asyncio.Future[Written] | None:
        """Write, in one unit, what was settled and what follows from it; None when that is nothing."""
        settled = self.effects.take_unwritten()
        if not intents and not settled and saga is None and not self.moments.urgent:
            return None
        moments = self.moments.take()
        done = self.submit(settled, intents=intents, saga=saga, moments=moments)
        done.add_done_callback(lambda done: self._written(done, settled, saga, moments))
        return done

    def submit(
        self, settled: Settled = NOTHING, *, intents: Sequence[Intent] = (), saga: SagaWrite | None = None,
        moments: Taken = NO_MOMENTS,
    ) -> asyncio.Future[Written]:  # fmt: skip
        """Hand a unit to the journal; the future tells what became of it."""
        done = self._loop.create_future()
        unit = Unit(
            self.saga.id, self.saga.epoch, None if saga is None else uuid7(), done, list(intents),
            settled.outcomes, settled.evidence, settled.watches, saga, moments.begun, moments.ended,
        )  # fmt: skip
        if self.lost:
            done.set_exception(DeclaredDead())
            done.exception()  # perhaps nobody waits for it any more
        else:
            self.worker.memory.journals[self.lane].submit(unit)
        return done

    def _written(
        self, done: asyncio.Future[Written], settled: Settled, saga: SagaWrite | None, moments: Taken
    ) -> None:
        """A unit of the run itself is durable, or failed. A plain callback."""
        error = done.exception()
        if self.lost or isinstance(error, DeclaredDead):
            pass  # the worker ends every run
        elif error is not None:
            self.broken(error)
        elif not done.result().held:
            self.worker.memory.lost(self)
        else:
            self.effects.told(settled)
            self.moments.written(moments, done.result())
            self._guarded(lambda: self._after(done.result(), saga))

    def _after(self, written: Written, saga: SagaWrite | None) -> None:
        if saga is None:
            self.turning.cancelled(requested=written.cancel_requested)
        elif saga.past_pivot and self.turning.told_back():
            self._continue()
        elif not written.moved or saga.past_pivot:
            self.worker.memory.restart(self)  # the inbox moved: read the record again, under the same claim
        elif saga.status is SagaStatus.RUNNING:
            self._turned(saga)
        else:
            self.worker.memory.forget(self)

    def _turned(self, saga: SagaWrite) -> None:
        self._resting = False
        if saga.amendment is not None:
            self.amending = Amending(self, saga.amendment)
        else:
            self.backward = Backward(self, backward.plan_of(self).steps)
        self._continue()

    def want(self, effect: LiveEffect) -> Want:
        """Whether the saga still wants it (S14, S15)."""
        if effect.direction is Direction.BACKWARD:
            return Want.WANTED
        given_up = self.forward is not None and self.forward.unwanted(effect.identity)
        unwanted = effect.unwanted or given_up or self.turning.past_deadline() or bool(self.turning)
        return Want.UNWANTED if unwanted else Want.WANTED

    def alarmed(self, effect: LiveEffect, verdict: Verdict) -> None:
        """What a verdict tells besides: evidence against it (S37), or more than was wanted (S23)."""
        self.alarm = self.alarm or verdict.contradiction
        if verdict.surplus:
            self.alarm = (
                f"{effect.identity}: {len(verdict.surplus)} more under its key: {', '.join(verdict.surplus)}"
            )
            self.parking = Parking(ParkCause.SURPLUS, self.alarm, effect.named())

    def never_began(self, effect: LiveEffect) -> None:
        """The database refused its intent (S32): there is no such effect."""
        self.effects.drop(effect)

    def late(self, effect: LiveEffect, seen: Replied) -> None:
        """A body returned after its budget (S25)."""
        if effect in self.settlers and not self.lost and not effect.settled:
            effect.observe(seen)
            self.settlers.nudge()
        else:
            self.worker.witness_soon(self, effect, seen)
        self.go_on_soon()

    def idle(self) -> bool:
        """Whether nothing is under way and nothing waits for a person."""
        return not self.settlers and not any(e.parked for e in self.effects) and not self.moments.open()

    def nudge_all(self) -> None:
        """What effects wait for may have changed."""
        self.settlers.nudge()

    def resume(self, effect: LiveEffect) -> None:
        """Go on settling an effect that an earlier claim, or the function, has left."""
        if not effect.settled and effect not in self.settlers and effect.parked is None:
            self.settlers.start(effect, None)

    def _settled(self, effect: LiveEffect, task: asyncio.Task[None]) -> None:
        """A settler ended. A plain callback, and so a place from which the function may be driven."""
        if task.cancelled():
            return
        error = task.exception()
        if self.lost or isinstance(error, DeclaredDead):
            return
        if isinstance(error, ClaimLost):
            self.worker.memory.lost(self)
        elif error is not None:
            self.broken(error)
        else:
            self.effects.complete(effect)
            self.go_on()

    def _guarded(self, action: Callable[[], None]) -> None:
        """Run one callback; what it raises parks the saga and never stops the worker."""
        if self.lost:
            return
        try:
            action()
        except CodeChanged as changed:
            self.parking = Parking(ParkCause.CODE_CHANGED, str(changed), changed.detail)
            self._continue()
        except Exception as error:  # noqa: BLE001 - one saga's bug must not stop the others
            self.broken(error)

    def broken(self, error: BaseException) -> None:
        """Something here, or a value, is at fault: park at once, with all that is known."""
        log.error("saga_run_failed", saga_id=str(self.saga.id), exc_info=error)
        done = self.submit(saga=records.parked(records.of_error(error), self.direction(), None, self.alarm))
        done.add_done_callback(lambda _: self.worker.memory.forget(self))

"""The moments of one saga in a worker's memory: its sleeps, its waits for signals, and what it has drawn.

Rules that hold here: a wait is due by the database's clock, from the commit that has written it, and never before that is
known; its end is numbered among the ends of effects, and travels with whatever follows from it; what a cancelled sibling
has dropped, or the run does not want any more, ends for nobody. What is drawn is used at once, and travels with the next
unit: nothing that depends on it is durable, or leaves, before it. A signal is taken by one wait; a wait for one is out of
time only when everything that was sent until then has been read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from saga.core.model import MomentKind
from saga.store.changes import MomentEnd, MomentWrite, Written
from saga.store.sagas import Recorded
from saga.store.signals import SignalRow
from saga_worker.recalled import EVER, LiveMoment, Recalled

if TYPE_CHECKING:
    from saga_worker.runner import Run

SOONEST = timedelta(milliseconds=1)
LONG = timedelta(days=30)
"""So often a saga looks again that waits for a signal only."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a unit carries of moments."""

    begun: list[MomentWrite] = field(default_factory=list[MomentWrite])
    ended: list[MomentEnd] = field(default_factory=list[MomentEnd])


NOTHING = Taken()
"""What the unit of a saga carries that calls services only."""


class Moments(Recalled):
    """All moments of one run."""

    def __init__(self, run: Run) -> None:
        """None: `load` reads what is recorded."""
        super().__init__(run.effects, run.clocks.now)
        self._run = run
        self._heard_at = EVER
        self._hearing = False
        self._timer: asyncio.TimerHandle | None = None

    def load(self, recorded: Recorded) -> None:
        """Take up what is recorded."""
        super().load(recorded)
        self._heard_at = recorded.heard_at or EVER

    def end_next(self) -> bool:
        """Number the wait that was over first; whether one is over by now."""
        now = self._run.clocks.now()
        over: list[tuple[datetime, int, LiveMoment, SignalRow | None]] = []
        asked: set[str] = set()
        for moment in self.open():  # by position: of two waits for one signal the first gets it
            signal = None
            if moment.kind is MomentKind.SIGNAL and moment.name not in asked:
                asked.add(moment.name)
                signal = self._next_of(moment)
            if signal is not None:
                over.append((signal.sent_at, moment.position, moment, signal))
            elif moment.due is not None and moment.due <= now and self._all_heard(moment):
                over.append((moment.due, moment.position, moment, None))
        if not over:
            return False
        _, _, moment, signal = min(over, key=lambda one: one[:2])
        moment.completion = self._run.effects.next_number(moment.identity)
        moment.unwritten = True
        if signal is not None:
            del self._sent[signal.id]
            moment.signal, moment.payload = signal.id, signal.payload
        return True

    def _next_of(self, moment: LiveMoment) -> SignalRow | None:
        """The oldest signal that nobody has taken and that came in time."""
        mine = [s for s in self._sent.values() if s.name == moment.name]
        oldest = min(mine, key=lambda s: s.number, default=None)
        in_time = oldest is not None and (moment.due is None or oldest.sent_at <= moment.due)
        return oldest if in_time else None

    # What is sent.

    def _all_heard(self, moment: LiveMoment) -> bool:
        """Whether all that was sent until the wait was due is here; if not, it is read."""
        if moment.kind is not MomentKind.SIGNAL or moment.due is None or self._heard_at >= moment.due:
            return True
        if not self._hearing:
            self._hearing = True
            self._run.worker.in_background(self._run.worker.hear([self._run]))
        return False

    @property
    def listens(self) -> bool:
        """Whether the function waits for a signal."""
        return any(m.kind is MomentKind.SIGNAL for m in self.open())

    def hear(self, sent: Iterable[SignalRow], until: datetime) -> None:
        """Everything that was sent before `until`."""
        taken = {m.signal for m in self.ends}
        self._sent = {signal.id: signal for signal in sent if signal.id not in taken}
        self._heard_at, self._hearing = until, False
        self._run.go_on_soon()

    def open(self) -> list[LiveMoment]:
        """What the function waits for."""
        run, forward = self._run, self._run.forward
        if not self._waits or forward is None or run.turning or run.backward:
            return []
        return [m for m in super().open() if not forward.dropped(m.identity)]

    def waits(self) -> list[datetime]:
        """Until when the saga may rest on account of them; nothing where it turns, or waits for a person."""
        if self._run.parking or any(e.parked for e in self._run.effects):
            return []
        return [self._until(moment) for moment in self.open()]

    def _until(self, moment: LiveMoment) -> datetime:
        now = self._run.clocks.now()
        if moment.due is not None or not moment.unsaved:
            return moment.due or (now if moment.seconds is not None else now + LONG)
        return now + (LONG if moment.seconds is None else timedelta(seconds=moment.seconds))

    # What is written of them.

    @property
    def urgent(self) -> bool:
        """Whether something is to be written that cannot wait for the next effect; what is drawn can."""
        return any(m.unwritten or m.unsaved for m in self.ends)

    def take(self) -> Taken:
        """What the next unit carries."""
        if not self._fresh and not self._waits:
            return NOTHING
        taken = Taken()
        fresh, self._fresh = self._fresh, []
        for moment in fresh:
            moment.unsaved = False
            taken.begun.append(
                MomentWrite(moment.identity, moment.kind, moment.position, moment.seconds, moment.value)
            )
        for moment in self.ends:
            if moment.unwritten and moment.completion is not None:
                moment.unwritten = False
                taken.ended.append(MomentEnd(moment.identity, moment.completion, moment.signal))
        return taken

    def written(self, taken: Taken, written: Written) -> None:
        """A commit has carried these: their time runs since then."""
        for one in taken.begun:
            if one.seconds is not None:
                self._waits[one.step].due = written.now + timedelta(seconds=one.seconds)
        if taken.begun:
            self.arm()

    # What wakes the run.

    def arm(self) -> None:
        """Look again when the next is due, or the saga's deadline passes; a run that rests is woken by its row."""
        self.disarm()
        due = [m.due for m in self.open() if m.due is not None]
        if not due or self._run.worker.draining or self._hearing:
            return
        deadline = self._run.saga.deadline_at
        until = min(due) if deadline is None else min(*due, deadline)
        left = max(until - self._run.clocks.now(), timedelta(0)) + SOONEST
        self._timer = asyncio.get_running_loop().call_later(left.total_seconds(), self._run.go_on)

    def disarm(self) -> None:
        """Nobody is woken any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

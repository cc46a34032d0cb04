"""The settlers at work in one run: which effects move, which wait, and how all of them are told or ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from saga.store.changes import Written
from saga_worker.effects import LiveEffect
from saga_worker.settler import Settler

if TYPE_CHECKING:
    from saga_worker.runner import Run

Ended = Callable[[LiveEffect, asyncio.Task[None]], None]


class Settlers:
    """One task for each effect that is being settled. `ended` is called, as a plain callback, when one ends."""

    def __init__(self, run: Run, ended: Ended) -> None:
        """Nobody works yet."""
        self._run = run
        self._ended = ended
        self._at_work: dict[LiveEffect, Settler] = {}
        self._tasks: dict[LiveEffect, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        """How many are at work."""
        return len(self._at_work)

    def __contains__(self, effect: object) -> bool:
        """Whether somebody works on this effect."""
        return effect in self._at_work

    def start(self, effect: LiveEffect, first: asyncio.Future[Written] | None) -> None:
        """Settle an effect; `first`: the write that carries the intent of its first attempt.

        There is nothing to do before that write is durable, and so no task: what becomes of it otherwise is told to the
        run, whose write it is.
        """
        self._at_work[effect] = Settler(self._run, effect)
        if first is None:
            self._begin(effect, None)
        else:
            first.add_done_callback(lambda first: self._written(effect, first))

    def _written(self, effect: LiveEffect, first: asyncio.Future[Written]) -> None:
        if effect not in self._at_work:
            return  # it was ended meanwhile
        if first.exception() is None:
            self._begin(effect, first.result())
        else:
            del self._at_work[effect]

    def _begin(self, effect: LiveEffect, first: Written | None) -> None:
        work = self._at_work[effect].settle(first)
        task = self._tasks[effect] = asyncio.get_running_loop().create_task(work, name=effect.identity)

        def over(task: asyncio.Task[None]) -> None:
            self._at_work.pop(effect, None)
            self._tasks.pop(effect, None)
            self._ended(effect, task)

        task.add_done_callback(over)

    def waits(self) -> list[datetime] | None:
        """Until when they wait; None while one of them moves."""
        until = [effect.waiting_until for effect in self._at_work]
        waiting = [one for one in until if one is not None]
        return waiting if len(waiting) == len(until) else None

    def nudge(self) -> None:
        """What they wait for may have changed."""
        for settler in self._at_work.values():
            settler.nudge()

    def cancel_idle(self) -> None:
        """End those that have no call in flight."""
        for effect in [one for one in self._at_work if one.in_flight == 0]:
            task = self._tasks.get(effect)
            if task is None:
                del self._at_work[effect]
            else:
                task.cancel()

    async def end(self) -> None:
        """End every one, whatever it is doing."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

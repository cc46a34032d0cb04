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
        self._at_work: dict[LiveEffect, tuple[Settler, asyncio.Task[None]]] = {}

    def __len__(self) -> int:
        """How many are at work."""
        return len(self._at_work)

    def __contains__(self, effect: object) -> bool:
        """Whether somebody works on this effect."""
        return effect in self._at_work

    def start(self, effect: LiveEffect, first: asyncio.Future[Written] | None) -> None:
        """Settle an effect; `first`: the write that carries the intent of its first attempt."""
        settler = Settler(self._run, effect)
        task = asyncio.get_running_loop().create_task(settler.settle(first), name=effect.identity)
        self._at_work[effect] = (settler, task)

        def over(task: asyncio.Task[None]) -> None:
            self._at_work.pop(effect, None)
            self._ended(effect, task)

        task.add_done_callback(over)

    def waits(self) -> list[datetime] | None:
        """Until when they wait; None while one of them moves."""
        until = [effect.waiting_until for effect in self._at_work]
        waiting = [one for one in until if one is not None]
        return waiting if len(waiting) == len(until) else None

    def nudge(self) -> None:
        """What they wait for may have changed."""
        for settler, _ in self._at_work.values():
            settler.nudge()

    def cancel_idle(self) -> None:
        """End those that have no call in flight."""
        for effect, (_, task) in self._at_work.items():
            if effect.in_flight == 0:
                task.cancel()

    async def end(self) -> None:
        """End every one, whatever it is doing."""
        tasks = [task for _, task in self._at_work.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

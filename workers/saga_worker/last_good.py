"""The last good values of reads: kept in the background, looked up when a read could not be had.

Rules that hold here: nothing waits for a value to be kept; a worker writes all that came meanwhile in one statement, twice
a second at the most, however many sagas read; lookups share a statement, too. A value takes the place of a failure only
while the failure is being settled, so that it is recorded with it, before anything follows from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from saga.clock import boottime
from saga.core.facts import Want
from saga.core.keys import last_good_hash
from saga.core.model import NotExecuted, Outcome, Succeeded
from saga.logs import log
from saga.steps import Step
from saga.store.last_good import Keep, Kept
from saga_worker.effects import LiveEffect, Wish

if TYPE_CHECKING:
    from saga.calls import StepCall
    from saga_worker.chores import Chores
    from saga_worker.runner import Run
    from saga_worker.worker import Worker

PAUSE_S = 0.5
SWEEP_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class Fresh:
    """A value that was just returned. boot: when, in boot time."""

    step: str
    value: str
    boot: float
    max_age: timedelta


def wish_of(call: StepCall[Any]) -> Wish | None:
    """What a call wants of last good values; None: nothing."""
    said, step = call.wants_last_good, call.step
    if said is None:
        return None
    kept_under = last_good_hash(step.service.name, step.name, arguments=call.arguments, key=said.key)
    return Wish(kept_under, said.max_age)


class LastGood:
    """The last good values as one worker sees them."""

    def __init__(self, worker: Worker, chores: Chores) -> None:
        """Nothing is kept or looked for yet."""
        self._worker = worker
        self._chores = chores
        self._fresh: dict[str, Fresh] = {}
        self._under_way: dict[str, Fresh] = {}
        self._writes = self._reads = False
        self._asked: dict[str, asyncio.Future[Kept | None]] = {}
        self._sweep_at = 0.0

    def returned(self, effect: LiveEffect, outcome: Outcome) -> None:
        """An effect was settled: keep its result, if it is one and the call said so. A plain callback."""
        wish = effect.wish
        if wish is None or not isinstance(outcome, Succeeded) or effect.by_statement or effect.unstorable:
            return
        self._fresh[wish.hash] = Fresh(effect.step.name, outcome.result, boottime(), wish.max_age)
        if not self._writes:
            self._writes = True
            self._worker.in_background(self._write())

    async def find(self, step: Step[..., Any], wish: Wish) -> Kept | None:
        """The value that is young enough and still of the step's type."""
        fresh = self._fresh.get(wish.hash) or self._under_way.get(wish.hash)
        if fresh is not None:
            kept: Kept | None = Kept(fresh.value, max(0.0, boottime() - fresh.boot))
        else:
            kept = await asyncio.shield(self._ask(wish.hash))
        if kept is None or kept.age > wish.max_age.total_seconds():
            return None
        try:
            step.decode_result(kept.value)
        except ValueError as error:  # its type has changed since
            log.warning("last_good_unreadable", step=step.name, error=str(error))
            return None
        return kept

    async def _write(self) -> None:
        try:
            while self._fresh:
                self._under_way, self._fresh = self._fresh, {}
                now = boottime()
                sweep = now >= self._sweep_at
                if sweep:
                    self._sweep_at = now + SWEEP_EVERY_S
                values = [_keep(kept_under, fresh, now) for kept_under, fresh in self._under_way.items()]
                await self._chores.keep_values(values, sweep=sweep)
                self._under_way = {}
                await asyncio.sleep(PAUSE_S)
        finally:
            self._writes, self._under_way = False, {}

    def _ask(self, kept_under: str) -> asyncio.Future[Kept | None]:
        found = self._asked.get(kept_under)
        if found is None:
            found = self._asked[kept_under] = asyncio.get_running_loop().create_future()
            if not self._reads:
                self._reads = True
                self._worker.in_background(self._read())
        return found

    async def _read(self) -> None:
        try:
            while self._asked:
                asked, self._asked = self._asked, {}
                kept = await self._look(list(asked))
                for kept_under, waiting in asked.items():
                    waiting.set_result(kept.get(kept_under))
        finally:
            self._reads = False

    async def _look(self, hashes: list[str]) -> Mapping[str, Kept]:
        try:
            return await self._chores.kept_values(hashes)
        except Exception as error:  # noqa: BLE001 - whatever it is: then there is none, and the failure stays what it was
            log.warning("last_good_not_found", error=str(error).strip())
            return {}


async def look_up(run: Run, effect: LiveEffect, outcome: Outcome, want: Want) -> bool:
    """Look once whether a last good value can take the place of a failure that the function waits for.

    True: it was looked for, and what is known may have changed meanwhile, so the rules must be asked again.
    """
    wish = effect.wish
    if wish is None or effect.looked_up or want is not Want.WANTED or not isinstance(outcome, NotExecuted):
        return False
    effect.looked_up = True
    effect.stand_in = await run.worker.last_good.find(effect.step, wish)
    return True


def _keep(kept_under: str, fresh: Fresh, now: float) -> Keep:
    age = max(0.0, now - fresh.boot)
    return Keep(kept_under, fresh.step, fresh.value, age, max(0.0, fresh.max_age.total_seconds() - age))

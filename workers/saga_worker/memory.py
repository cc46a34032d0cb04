"""The sagas in a worker's memory: claimed, read, run, forgotten.

Rules that hold here: a saga is here once, under the epoch of its newest claim; a claim that is only an echo (a
batch that was recovered names sagas again) changes nothing; what rests or is lost leaves at once, and its
place is free.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from saga.logs import log
from saga.store.batch import ClaimRequest, Row
from saga.store.journal import Journal
from saga.store.sagas import Recorded, SagaRow
from saga_worker.chores import Chores
from saga_worker.concurrency import OUT_S, Calls, Concurrency
from saga_worker.runner import Run

if TYPE_CHECKING:
    from saga_worker.worker import Worker


class Memory:
    """What one life of a worker holds. `journals`: one for each lane."""

    def __init__(self, worker: Worker, chores: Chores, concurrency: int) -> None:
        """Empty; `open` gives it the lanes of a new life."""
        self._worker = worker
        self._chores = chores
        self._most = concurrency
        self._concurrency = Concurrency(concurrency)
        self._calls = Calls()
        self._eager = worker.pace.eager
        self._names, self._versions = worker.engine.registry_serves()
        self._runs: dict[UUID, Run] = {}
        self._epochs: dict[UUID, int] = {}
        self._loading = 0
        self._wanting = False
        self._open = False
        self._turn = 0
        self._asked: list[int] = []
        self._polls: list[float] = []
        self._pauses: list[float] = []
        self.journals: list[Journal] = []
        self.emptied = asyncio.Event()

    def open(self, journals: list[Journal]) -> None:
        """Begin a life."""
        self._open = True
        self.journals = journals
        self._polls, self._pauses = [0.0] * len(journals), [self._eager] * len(journals)
        self._asked = [0] * len(journals)
        self._calls = Calls()  # those of an earlier life are no saga's of this one

    def close(self) -> list[Run]:
        """End a life; what was running is the caller's to stop. A claim that is still under way is given back."""
        self._open = False
        runs, self._runs = list(self._runs.values()), {}
        self._epochs.clear()
        return runs

    def __iter__(self) -> Iterator[Run]:
        """Every run."""
        return iter(list(self._runs.values()))

    def __len__(self) -> int:
        """How many places are taken."""
        return len(self._runs) + self._loading

    # Claims.

    def poke(self) -> None:
        """There may be something to claim: one lane looks now, and the next when that one has found all that it could take."""
        self._turn = (self._turn + 1) % max(1, len(self.journals))
        self._look(self._turn)

    def _look(self, lane: int) -> None:
        if lane < len(self.journals):
            self._polls[lane] = 0.0
            self.journals[lane].poke()

    def wants(self, lane: int) -> ClaimRequest | None:
        """Whether this lane's next batch should claim: when there is room, and it is time to look."""
        now = self._worker.clocks.boot()
        room = self._room(now)
        if room <= 0 and not self._wanting:
            self._wanting = True
            asyncio.get_running_loop().call_later(OUT_S, self._look_for_room)
        if self._worker.draining or room <= 0 or now < self._polls[lane]:
            return None
        self._polls[lane] = now + self._pauses[lane]
        self._asked[lane] = max(1, room // len(self.journals))
        return ClaimRequest(self._asked[lane], self._names, self._versions)

    def _room(self, now: float) -> int:
        return min(self._concurrency.room(self._at_work(now), now), self._most - len(self))

    def _at_work(self, now: float) -> int:
        return len(self) - self._calls.long(now)

    def _look_for_room(self) -> None:
        self._wanting = False
        if self._room(self._worker.clocks.boot()) > 0:
            self.poke()

    def claimed(self, lane: int, rows: list[Row]) -> None:
        """A claim is durable: fresh sagas begin at once, others when their record is read."""
        if not self._open:
            return  # the worker has stopped meanwhile, and gives back whatever is its own
        sagas = [s for s in (SagaRow(*row) for row in rows) if self._take(s)]
        if not sagas:
            self._pauses[lane] = min(self._pauses[lane] * 1.5, self._worker.pace.look)
            asyncio.get_running_loop().call_later(self._pauses[lane], self.journals[lane].poke)
            return
        self._pauses[lane] = self._eager
        for saga in sagas:
            if saga.fresh:
                self._take_up(lane, saga, Recorded([], {}))
        known = [s for s in sagas if not s.fresh]
        if known:
            self._loading += len(known)
            self._worker.in_background(self._load(lane, known))
        self._look(lane)
        if len(rows) >= self._asked[lane]:
            self.poke()

    def _take(self, saga: SagaRow) -> bool:
        """Whether this claim is news, and not the echo of one that we have."""
        if self._epochs.get(saga.id, 0) >= saga.epoch:
            return False
        self._epochs[saga.id] = saga.epoch
        stale = self._runs.pop(saga.id, None)
        if stale is not None:  # it went to rest, and the news of its next claim came first
            stale.lose()
        return True

    async def _load(self, lane: int, sagas: list[SagaRow]) -> None:
        journal = self.journals[lane]
        try:
            records = await self._read(sagas)
        finally:
            self._loading -= len(sagas)
        if self._open and not journal.dead and journal is self.journals[lane]:
            for saga in sagas:
                if self._epochs.get(saga.id) == saga.epoch:
                    self._take_up(lane, saga, records[saga.id])
        if not len(self):
            self.emptied.set()

    async def _read(self, sagas: list[SagaRow]) -> dict[UUID, Recorded | Exception]:
        """What is recorded of each; a record that cannot be read is that saga's trouble, and nobody else's."""
        try:
            return dict(await self._chores.recorded([saga.id for saga in sagas]))
        except Exception as error:  # noqa: BLE001 - it parks the saga, with all that is known
            if len(sagas) == 1:
                return {sagas[0].id: error}
            alone = [await self._read([saga]) for saga in sagas]
            return {saga_id: record for found in alone for saga_id, record in found.items()}

    def _take_up(self, lane: int, saga: SagaRow, record: Recorded | Exception) -> None:
        definition = self._worker.engine.definition(saga.name, saga.version)
        run = Run(self._worker, lane, saga, definition, None if isinstance(record, Exception) else record)
        self._runs[saga.id] = run
        begin = partial(run.broken, record) if isinstance(record, Exception) else run.begin
        asyncio.get_running_loop().call_soon(begin)

    # What runs report.

    def called(self, saga: UUID, since: float) -> None:
        """A call of this saga is made now; since: boot time before its intent was committed."""
        now = self._worker.clocks.boot()
        self._concurrency.called(now - since, self._at_work(now), now)
        self._calls.began(saga, now)
        if self._wanting and self._room(now) > 0:
            self._wanting = False
            self.poke()

    def returned(self, saga: UUID) -> None:
        """A call of this saga is out no more."""
        self._calls.ended(saga)

    def forget(self, run: Run) -> None:
        """The saga rests or has ended: it leaves memory."""
        run.lose()
        if self._runs.get(run.saga.id) is run:
            del self._runs[run.saga.id]
            del self._epochs[run.saga.id]
            self._calls.ended(run.saga.id)
        if not len(self):
            self.emptied.set()
        lane = run.lane
        if self._pauses[lane] <= self._eager:  # there was work a moment ago: look again
            self._look(lane)

    def lost(self, run: Run) -> None:
        """The claim was lost to another worker."""
        log.warning("saga_claim_lost", saga_id=str(run.saga.id))
        run.testify()
        self.forget(run)

    def restart(self, run: Run) -> None:
        """The inbox moved while the saga went to rest: read it again, under the same claim."""
        run.lose()
        if self._runs.get(run.saga.id) is run:
            self._worker.in_background(self._restart(run))

    async def _restart(self, run: Run) -> None:
        journal = self.journals[run.lane]
        saga = await self._chores.reload(self._worker.id, run.lane, run.saga.id, run.saga.epoch)
        records = {} if saga is None else await self._read([saga])
        if saga is None or journal.dead or self._runs.get(saga.id) is not run:
            self.forget(run)
            return
        self._take_up(run.lane, saga, records[saga.id])

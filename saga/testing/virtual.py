"""A world on simulated machines: the production worker in virtual time, with the faults that a test has planned.

Rules that hold here: an idle hour costs nothing, because a worker looks for what is due when it is due (`_look`), and
hardly ever besides; the lease of a killed worker ends `TAKEOVER_S` after its death, and then another takes its place.
"""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, TypeVar

from saga.core.model import SagaStatus
from saga.engine import Engine
from saga.testing.acting import Acting, Planning
from saga.testing.planning import Plans
from saga.testing.simulation.chance import Chance
from saga.testing.simulation.machine import Process
from saga.testing.simulation.network import Network
from saga.testing.simulation.simulation import Setting, Simulation
from saga.testing.simulation.wire import AT_REST
from saga_worker import Worker
from saga_worker.clocks import Pace

T = TypeVar("T")

TAKEOVER_S = 15.0
"""From a worker's death until another has its sagas: the lease of a production worker by default."""
STARTED_S = 0.1
"""By then the first worker works."""
LEASE_S = 30 * 86400.0
PACE = Pace(beat=43200.0, eager=3600.0, look=3600.0, round=3600.0, reap=3600.0)
"""Hardly ever: what is due is looked for when it is due."""
AGAIN_S = 0.5
"""A round that took nothing is not tried again sooner."""
ANSWER_S = 86400.0
"""The longest, in virtual seconds, that a question to the database may take."""


def setting(batch_faults: tuple[str, ...] = ()) -> Setting:
    """One worker with one lane, and no faults but those that are planned, or are a sweep's."""
    return Setting(
        workers=1, lanes=1, lease=LEASE_S, concurrency=1000, call_faults=(), probe_faults=(),
        batch_faults=batch_faults, pace=PACE,
    )  # fmt: skip


class _Worker(Worker):
    """A worker that can be told to look now."""

    def look(self) -> None:
        """Do one round of chores more, and look for work."""
        self.memory.poke()
        chores = self._chores
        self.in_background(chores._patiently(chores._round))  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - its own round, early


class Virtual(Planning, Simulation):
    """The simulation in which what happens is what a test has planned.

    raised: what the test's own code has raised meanwhile. rests: whether nothing moves, as of the last commit.
    """

    def __init__(self, engine: Engine, plans: Plans, chance: Chance, chosen: Setting) -> None:
        super().__init__(engine, chance, chosen)
        self.plans = plans
        self.raised: list[BaseException] = []
        self._living: dict[Process, _Worker] = {}
        self._looking = False
        self._round_at = -AGAIN_S
        fate = self.database.model.fate
        assert fate is not None, "the simulated database asks for it"

        def noticed(session: Any) -> Any:
            if not self._looking:
                self._looking = True
                self.machine.later(0.0, self._look)
            return fate(session)

        self.database.model.fate = noticed
        self.add_worker()
        self.machine.run(STARTED_S)

    # Workers.

    def add_worker(self) -> Process:
        """One worker; the leases of the dead are over by now."""
        for row in self.database.model.tables.worker.rows.values():
            if row.committed is not None and row.holder is None:
                row.committed = {**row.committed, "lease": timedelta(0)}
        return super().add_worker()

    def killed(self, process: Process) -> None:
        """Kill -9; another takes its place when the lease is over."""
        if not process.alive:
            return
        process.kill()
        self._living.pop(process, None)
        self.database.vanished(process)
        if process in self._workers:
            self._workers.remove(process)
            self.machine.later(TAKEOVER_S, self.add_worker)

    def kill_all(self) -> None:
        """Kill whoever works."""
        for process in list(self._workers):
            self.killed(process)

    async def _work(self, process: Process) -> None:
        chosen = self.setting
        worker = _Worker(
            self.engine, concurrency=chosen.concurrency, lanes=chosen.lanes, threads=1,
            lease=timedelta(seconds=chosen.lease), pace=chosen.pace,
        )  # fmt: skip
        worker.performer = Acting(Network(self, process))
        self._living[process] = worker
        try:
            await worker.run()
        except Exception as error:  # noqa: BLE001 - whatever ends a worker by itself is a finding
            self.failures.append(f"{process.name} ended by itself: {type(error).__name__}: {error}")
        self.killed(process)

    # What is due.

    def _look(self) -> None:
        """After a commit: is there anything to do earlier than the worker would look by itself?"""
        self._looking = False
        self.changed()
        due = min(self._times_due(), default=None)
        if due is None:
            return
        seconds = (due - self.database.model.clock()).total_seconds()
        at = max(self.machine.now + seconds, self._round_at + AGAIN_S) + 1e-3
        self.machine.later(at - self.machine.now, self._round)

    def changed(self) -> None:
        """Something was committed."""

    def _times_due(self) -> list[datetime]:
        """Sleepers and watches, what is ready although nobody was told so, and what was sent to a saga in memory."""
        due = [row["next_at"] for row in self.database.rows("watch")]
        for row in self.database.rows("saga"):
            if row["status"] == SagaStatus.ASLEEP:
                due.append(row["wake_at"])
            elif row["status"] == SagaStatus.READY:
                due.append(row["updated_at"] + timedelta(seconds=AGAIN_S))
        if any(run.moments.listens for worker in self._living.values() for run in worker.memory):
            taken = {row["signal"] for row in self.database.rows("moment")}
            due += [row["sent_at"] for row in self.database.rows("signal") if row["id"] not in taken]
        return due

    def _round(self) -> None:
        now = self.machine.now
        if now < self._round_at + AGAIN_S and self._round_at > 0:
            return
        due = min(self._times_due(), default=None)
        if due is None or due > self.database.model.clock():
            return  # another round has done it
        self._round_at = now
        for process, worker in self._living.items():
            process.inside(worker.look)

    # What a customer does.

    @cached_property
    def _customers(self) -> Process:
        return self._process("customer")

    def ask(self, question: Coroutine[Any, Any, T]) -> T:
        """Ask as a customer, and let the time pass that it takes."""
        task = self._customers.main(question)
        self.machine.run(self.machine.now + ANSWER_S, task.done)
        if not task.done():
            raise TimeoutError(f"no answer within {ANSWER_S:g} virtual seconds")
        return task.result()

    def until_rest(self, seconds: float, id_of: Any = None) -> bool:
        """Let time pass until this saga, or every one, has ended or is parked; whether it is."""
        saga = self.database.model.tables.saga.rows

        def rests() -> bool:
            if self.raised or self.failures:
                return True
            row = saga.get(id_of)
            if row is not None and row.committed is not None:
                return row.committed["status"] in AT_REST
            return self.database.at_rest()

        self.machine.run(self.machine.now + seconds, rests)
        return rests()

    def check(self) -> None:
        """Raise what the test's own code has raised, and whatever ended a worker."""
        if self.raised:
            raise self.raised[0]
        assert not self.failures, self.failures[0]

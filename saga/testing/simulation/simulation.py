"""One simulated run: workers, a database, services, customers, and everything that can go wrong between them.

Rules that hold here: what runs in the workers is the production `Worker`, its journal and its rules; only the
machine's ports and the network are stand-ins; faults come from one `Chance`, so that a run is replayed by its
seed, or by its faults alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property, partial
from typing import Any

from saga.call import Call
from saga.core.model import Direction
from saga.engine import Engine
from saga.ports import Ports
from saga.testing.invariants.record import Record, SentSignal, Shown
from saga.testing.simulation.chance import Chance
from saga.testing.simulation.customers import Send, Start, customer, sender
from saga.testing.simulation.database import SimulatedDatabase
from saga.testing.simulation.desk import Desk
from saga.testing.simulation.engine import CANARY, SimulatedEngine, engine_of
from saga.testing.simulation.ledger import Ledger, Named
from saga.testing.simulation.machine import Machine, Process, Threads
from saga.testing.simulation.network import CALL_FAULTS, PROBE_FAULTS, StandIn, faults_of
from saga.testing.simulation.service import FakeService
from saga.testing.simulation.watching import Watch, WatchedNetwork
from saga.testing.simulation.wire import BATCH_FAULTS, FREEZE, KILL, STOP, Around
from saga_worker import Worker
from saga_worker.clocks import Pace
from saga_worker.effects import LiveEffect

BOOT_AT = 1_000_000.0
EPOCH_NS = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
RESTART_S = 0.2
STALE_ROUNDS = 2.5
"""For so many rounds of its chores a worker may go on by what it has read of a service: one, and room for a lost connection."""
DRIFT = 0.01
"""How far two machines' clocks drift apart, at most: far more than any real ones."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How a run is set up. lease in seconds; points: see `Around`; slow: how long a service takes that takes its time, in seconds.

    look_every: so often is looked whether all is at rest, in seconds.
    lies: by how many seconds at most a late request breaks what its service declares. lags: every status answer is as stale
    as it may be.
    """

    workers: int = 2
    lanes: int = 1
    lease: float = 2.0
    concurrency: int = 50
    slow: float = 0.2
    call_faults: tuple[str, ...] = CALL_FAULTS
    probe_faults: tuple[str, ...] = PROBE_FAULTS
    batch_faults: tuple[str, ...] = BATCH_FAULTS
    points: frozenset[str] | None = None
    moments: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    moment_every: float = 0.25
    look_every: float = 0.1
    lies: float = 0.0
    lags: bool = False
    pace: Pace = field(default_factory=Pace)


@dataclass
class Simulation:
    """One run, from an empty database on. Read the ledger, `shown` and the rows when it has ended."""

    engine: Engine
    chance: Chance
    setting: Setting = field(default_factory=Setting)
    value_of: Callable[[LiveEffect, Call], Any] = field(default=lambda _, call: call.key)

    def __post_init__(self) -> None:
        """The machines are there; nothing runs yet."""
        self.machine = Machine()
        self.ledger = Ledger()
        self.on_their_way = 0
        around = Around(
            self.machine,
            self.chance,
            self.killed,
            self.setting.batch_faults,
            self.setting.lease,
            self.setting.points,
        )
        self.database = SimulatedDatabase(around)
        self.watch = Watch(self.database.model, self.setting.lease, STALE_ROUNDS * self.setting.pace.round)
        self.desk = Desk(self)
        self.shown: list[Shown] = []
        self.starts: list[Start] = []
        self.sent: list[SentSignal] = []
        self.failures: list[str] = []
        self.logged: list[str] = []
        self._quiet_from = 0.0
        self._services: dict[str, FakeService] = {}
        self._lives = 0
        self._workers: list[Process] = []
        self.acknowledged: set[str] = set()

    # What the network asks (`Host`).

    def service(self, effect: LiveEffect) -> FakeService:
        """The fake of the effect's service."""
        service = effect.step.service
        if service.name not in self._services:
            self._services[service.name] = FakeService(
                service.name, service.promises, self.ledger, self.setting.slow
            )
        return self._services[service.name]

    def named(self, effect: LiveEffect, call: Call) -> Named:
        """Which effect it is."""
        saga = self.database.key_of(call.saga)
        return Named(
            saga, effect.identity, effect.direction, effect.step.service.name, call.key, call.effect_key
        )

    def fault(self, effect: LiveEffect, point: str, *, probe: bool) -> str | None:
        """By chance."""
        known = self.setting.probe_faults if probe else faults_of(effect, self.setting.call_faults)
        return self.chance.fault(point, known, self.machine.now) if known else None

    def refusal(self, effect: LiveEffect) -> tuple[str, str]:
        """The code and the message of a refusal."""
        del effect
        return "declined", "no"

    def lateness(self, effect: LiveEffect, call: Call) -> float:
        """Behind its deadline, and within what the service declares."""
        lateness = effect.step.service.promises.lateness.total_seconds()
        share = self.chance.share(f"late {call.saga} {call.step}")
        if self.setting.lies:
            return call.remaining() + lateness + self.setting.lies * share
        return call.remaining() + lateness * (0.1 + 0.8 * share)

    def value(self, effect: LiveEffect, call: Call) -> Any:
        """What a success of it gives."""
        return None if effect.direction is Direction.BACKWARD else self.value_of(effect, call)

    def durable(self, named: Named, attempt: int) -> bool:
        """Whether the intent of this attempt is committed."""
        return self.database.intended(named, attempt)

    def killed(self, process: Process) -> None:
        """Kill -9, and soon after it a new process in its place."""
        if not process.alive:
            return
        process.kill()
        self.database.vanished(process)
        if process in self._workers:
            self._workers.remove(process)
            self.machine.later(RESTART_S, self.add_worker)

    # The run.

    def start(self, start: Start) -> None:
        """A customer starts a saga, and looks at it until it has ended."""
        self.starts.append(start)

        def come() -> None:
            self._process(f"customer of {start.key}").begin(customer(self, start))

        self.machine.later(start.at, come)
        for number, one in enumerate(start.sends):
            process = self._process(f"sender {number} to {start.key}")
            self.machine.later(start.at + one.at, partial(self._send, process, start, one))

    def _send(self, process: Process, start: Start, one: Send) -> None:
        process.begin(sender(self, start, one))

    def add_worker(self) -> Process:
        """One more worker, in a process of its own."""
        self._lives += 1
        process = self._process(f"worker {self._lives}")
        self._workers.append(process)
        process.begin(self._work(process))
        return process

    def run(self, faults_until: float, limit: float) -> bool:
        """Work until all is at rest and nothing can land any more, at most `limit` virtual seconds; whether it is."""
        for _ in range(self.setting.workers):
            self.add_worker()
        self._quiet_from = faults_until if self.setting.operators else 0.0
        if self.setting.moments or self.setting.operators:
            self.machine.later(self.setting.moment_every, lambda: self._moment(faults_until))
        rested = self._until(self._at_rest, limit)
        if rested:
            rested = self._until(self._over, limit)
        return rested

    def record(self, *, rested: bool) -> Record:
        """What the run has left, for the invariants."""
        return Record(
            self.ledger, self.database.claims(self.engine), self.shown, {s.key: s.expects for s in self.starts},
            rested, chain_faults=self.database.chain_faults(), unrest=self.database.unrest(), failures=self.failures,
            texts=self._texts, canary=CANARY, honest=not self.setting.lies, intrusions=self._known(self.watch.found), uninvited=self._known(self.watch.uninvited),
            misled=frozenset(self.desk.misled), told=frozenset(self.desk.told), cancelled=self.desk.cancelled,
            pauses={s.key: s.pauses for s in self.starts}, signals=self.sent,
        )  # fmt: skip

    def close(self) -> None:
        """End it."""
        self.machine.close()
        if isinstance(self.engine, SimulatedEngine):
            self.engine.forget()

    def visitor(self, name: str) -> Process:
        """A process that comes once."""
        self._lives += 1
        return self._process(f"{name} {self._lives}")

    def _texts(self) -> Iterator[str]:
        yield from self.logged
        yield from self.database.texts()

    def _known(self, found: list[tuple[object, str]]) -> list[tuple[str, str]]:
        return [(self.database.key_of(str(saga)), says) for saga, says in found]

    def _until(self, done: Callable[[], bool], limit: float) -> bool:
        met = [False]

        def look() -> None:
            met[0] = done()
            if not met[0]:
                self.machine.later(self.setting.look_every, look)

        self.machine.later(0.0, look)
        self.machine.run(limit, lambda: met[0])
        return met[0]

    def _over(self) -> bool:
        """Whether nothing can land any more, and nothing that has is still to be taken up."""
        return not self.on_their_way and not self.database.watches() and self._at_rest()

    def _at_rest(self) -> bool:
        if self.machine.now < self._quiet_from or self.desk.busy:
            return False
        return len(self.acknowledged) == len(self.starts) and self.database.at_rest()

    def _moment(self, faults_until: float) -> None:
        """A moment at which something may happen that nobody asked for."""
        now = self.machine.now
        what = self.chance.fault("moment", self.setting.moments, now) if self.setting.moments else None
        if what is not None:
            self._happen(what)
        act = self.chance.fault("operator", self.setting.operators, now) if self.setting.operators else None
        if act is not None:
            self.desk.happen(act)
        if now + self.setting.moment_every < faults_until:
            self.machine.later(self.setting.moment_every, lambda: self._moment(faults_until))

    def _happen(self, what: str) -> None:
        if what in (KILL, FREEZE, STOP) and not self._workers:
            return
        match what:
            case _ if what == KILL:
                self.killed(self._any_worker())
            case _ if what == FREEZE:
                process = self._any_worker()
                process.freeze()
                self.machine.later(self.setting.lease * 1.6, process.thaw)
            case _ if what == STOP:
                process = self._any_worker()
                process.inside(self._stops[process.name])
            case _:
                self.database.happen(what)

    def _any_worker(self) -> Process:
        return self._workers[int(self.chance.share("which worker") * len(self._workers))]

    def _process(self, name: str) -> Process:
        machine, chance = self.machine, self.chance
        begin = BOOT_AT * (1 + chance.share(f"boot of {name}"))
        rate = 1 + DRIFT * (2 * chance.share(f"drift of {name}") - 1)
        ports = Ports(
            boottime=lambda: begin + machine.now * rate,
            unix_ns=lambda: EPOCH_NS + int(machine.now * 1e9),
            random_bits=random.Random(name).getrandbits,
            threads=lambda _: Threads(),
        )
        process = machine.process(name, ports)
        ports.connect = lambda _: self.database.connect(process)
        return process

    async def _work(self, process: Process) -> None:
        setting = self.setting
        worker = Worker(
            self.engine, concurrency=setting.concurrency, lanes=setting.lanes,
            lease=timedelta(seconds=setting.lease), drain_within="500ms", threads=1, pace=setting.pace,
        )  # fmt: skip
        worker.performer = StandIn(
            1, WatchedNetwork(self, process, self.watch, lambda: worker.id, lags=setting.lags)
        )
        self._stops[process.name] = worker.stop
        try:
            await worker.run()
        except Exception as error:  # noqa: BLE001 - whatever ends a worker by itself is a finding
            self.failures.append(f"{process.name} ended by itself: {type(error).__name__}: {error}")
        # It was told to stop, and has: another takes its place.
        self.killed(process)

    @cached_property
    def _stops(self) -> dict[str, Callable[[], None]]:
        return {}


__all__ = ["CANARY", "Setting", "Simulation", "Start", "engine_of"]

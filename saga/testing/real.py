"""A world on a real Postgres: the production engine and worker in the test's own loop, in real time.

Rules that hold here: the services and their ledger are those of the simulated world; a killed worker's sagas go to the
next worker when its lease is over; each world has a schema of its own, which is dropped at its end.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar, cast
from uuid import uuid4

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import DropSchema

from saga.answers import Answer
from saga.call import Call
from saga.core.durations import Duration
from saga.core.model import View
from saga.definition import SagaDefinition
from saga.dev.embedded import temporary
from saga.handle import Handle
from saga.signals import Signal
from saga.store import migrate, urls
from saga.testing.acting import Acting, Planning
from saga.testing.crew import Crew, LoopMachine, enrol
from saga.testing.planning import Plans
from saga.testing.simulation.chance import Chance, Scripted
from saga.testing.simulation.ledger import Ledger, Named
from saga.testing.simulation.machine import Machine, Process
from saga.testing.simulation.network import Network
from saga.testing.stage import GrowingEngine, NotHere, Stage
from saga_worker import Worker
from saga_worker.effects import LiveEffect

In = TypeVar("In")
Out = TypeVar("Out")
T = TypeVar("T")
LOOK_S = 0.02
"""How often `rest` looks."""
FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
_server = ExitStack()
_url: list[str] = []


def server() -> str:
    """A temporary Postgres for all worlds of this process; a watchdog ends it, whatever becomes of us."""
    if not _url:
        _url.append(_server.enter_context(temporary(settings=FAST)).url)
        atexit.register(_server.close)
    return _url[0]


class Host(Planning):
    """What the network asks of this world."""

    def __init__(self, plans: Plans, ledger: Ledger, killed: Callable[[Any], None]) -> None:
        self.plans = plans
        self.ledger = ledger
        self.raised = []
        self._services = {}
        self._killed = killed
        self._keys: dict[str, str] = {}
        self.machine = cast("Machine", LoopMachine())
        self.chance: Chance = Scripted({})
        self.on_their_way = 0

    def knows(self, saga: str, key: str) -> None:
        """A worker may have begun before the starter knows the saga's id: what was written meanwhile gets the key, too."""
        self._keys[saga] = key
        ledger = self.ledger
        ledger.entries[:] = [
            replace(one, named=replace(one.named, saga=key)) if one.named.saga == saga else one
            for one in ledger.entries
        ]
        ledger.sent[:] = [
            replace(one, named=replace(one.named, saga=key)) if one.named.saga == saga else one
            for one in ledger.sent
        ]

    def named(self, effect: LiveEffect, call: Call) -> Named:
        """Which effect it is."""
        saga = self._keys.get(call.saga, call.saga)
        return Named(
            saga, effect.identity, effect.direction, effect.step.service.name, call.key, call.effect_key
        )

    def durable(self, named: Named, attempt: int) -> bool:
        """The simulated world looks; here there is no looking without waiting."""
        del named, attempt
        return True

    def killed(self, process: Process) -> None:
        """The worker dies, as soon as whoever says so is out of its way, and as nobody's task."""
        asyncio.get_running_loop().call_soon(self._killed, process, context=contextvars.Context())


class RealStage(Stage):
    """The production engine and worker, and the fake services (`Host`)."""

    patience = timedelta(minutes=1)

    def __init__(self, plans: Plans, url: str | None, lease: timedelta) -> None:
        self._plans = plans
        self._url = url
        self._lease = lease
        self._schema = f"world_{uuid4().hex[:12]}"
        self._ledger = Ledger()
        self._crews: list[Crew] = []

    @property
    def ledger(self) -> Ledger:
        """What the services wrote down."""
        return self._ledger

    # The test.

    async def open(self) -> None:
        """Make the schema; nobody works before the first start."""
        loop = asyncio.get_running_loop()
        self._url = await asyncio.to_thread(server) if self._url is None else self._url
        await asyncio.to_thread(migrate.upgrade, self._url, self._schema)
        self._host = Host(self._plans, self._ledger, self._killed)
        self._factory = loop.get_task_factory()
        loop.set_task_factory(cast("Any", enrol))
        self.engine = GrowingEngine(self._url, schema=self._schema)

    async def start(
        self, saga: SagaDefinition[In, Out], input: In, key: str, after: Duration | None
    ) -> Handle[Out]:
        """Start a saga, after a while."""
        if "engine" not in self.__dict__:
            raise NotHere("a world on Postgres begins with `async with world(postgres=True) as real:`")
        self.engine.learn(saga)
        await self.engine.prepare()
        if not self._crews:
            self._hire()
        handle = await self.engine.start(saga, input, key=key, after=after)
        self._host.knows(str(handle.id), key)
        return handle

    async def rest(self, handle: Handle[Any], within: timedelta) -> None:
        """Look until the saga rests."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within.total_seconds()):
                while not self._host.raised:
                    self._crews[-1].check()
                    view = await handle.view()
                    if view.status is not View.PROCESSING or view.needs_person:
                        break
                    await asyncio.sleep(LOOK_S)
        if self._host.raised:
            raise self._host.raised[0]

    async def advance(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    def kill_worker(self) -> None:
        """End the worker where it stands, and begin the next."""
        if self._crews:
            self._crews[-1].kill()
            self._hire()

    async def witness(self, key: str, answer: Answer[Any]) -> None:
        """News of an effect."""
        await self.engine.witness(key, answer)

    async def cancel(self, handle: Handle[Any], because: str) -> None:
        """Ask the saga to stop and undo."""
        await handle.cancel(because)

    async def send(self, handle: Handle[Any], signal: Signal[T], payload: T, key: str | None) -> None:
        """Send the saga a signal."""
        await handle.send(signal, payload, key=key)

    async def close(self) -> None:
        """Stop the worker, and drop the schema."""
        for crew in self._crews:
            await crew.end()
        await self.engine.close()
        asyncio.get_running_loop().set_task_factory(self._factory)
        await asyncio.to_thread(self._drop)

    def _drop(self) -> None:
        engine = create_engine(urls.parse(self.engine.url), poolclass=NullPool)
        with engine.begin() as connection:
            connection.execute(DropSchema(self._schema, cascade=True))

    def _hire(self) -> None:
        worker = Worker(self.engine, lease=self._lease, drain_within="1s", threads=1)
        crew = Crew(f"worker {len(self._crews) + 1}", worker)
        worker.performer = Acting(Network(self._host, cast("Process", crew.process)))
        self._crews.append(crew)
        crew.begin()

    def _killed(self, process: object) -> None:
        """The worker that still lives is killed by a fault of one of its requests."""
        if process is self._crews[-1].process:
            self.kill_worker()

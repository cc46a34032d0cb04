"""What is seen from outside of who may write and send: a worker without a lease, a write under an old claim, a call to an
open service.

Rules that hold here: nothing here changes what happens; a lease counts by true time, from the begin of the worker's last
commit, whatever clocks say, so that a database whose clock jumps does not make a sender guilty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from saga.answers import Answer
from saga.call import Call
from saga.testing.simulation.machine import Process
from saga.testing.simulation.network import Host, Network
from saga.testing.store.database import Database
from saga.testing.store.messages import Course, Model, Result, Run, Values
from saga.testing.store.transactions import Transaction
from saga_worker.effects import LiveEffect

_Look = Callable[[Transaction, Values, Result], None]


class Watch:
    """Looks at the statements of batches, and at the requests that leave. found: what must not be, by saga's id.

    stale: for so many seconds a worker may go on by what it has read of a service. uninvited: calls to an open one.
    """

    def __init__(self, database: Database, lease: float, stale: float) -> None:
        """Look at everything from now on."""
        self.found: list[tuple[object, str]] = []
        self.uninvited: list[tuple[object, str]] = []
        self._database = database
        self._lease = lease
        self._stale = stale
        self._opened: dict[str, tuple[int, float]] = {}
        self._beats: dict[object, float] = {}
        looks: dict[str, _Look] = {
            "beat": self._beat, "orphans": self._orphans,
            "outcomes": self._write, "first_intents": self._write, "next_intents": self._write, "sagas": self._write,
            "service_all": self._listed,
        }  # fmt: skip
        database.overlay(lambda model: _watched(model, looks[model.name]) if model.name in looks else model)

    def leased(self, worker: object) -> bool:
        """Whether the lease of this worker still runs."""
        return self._database.timers.now() - self._beats.get(worker, 0.0) <= self._lease

    def called(self, saga: object, service: str, what: str) -> None:
        """A request goes to a service now. Questions are not looked at: an operator may ask whenever they want."""
        database = self._database
        row = database.tables.service.rows.get(service)
        stands = None if row is None else row.committed
        turn, since = self._opened.get(service, (-1, 0.0))
        if stands is None or stands["state"] != "open" or stands["turn"] != turn:
            return
        known_for = database.timers.now() - since
        if known_for > self._stale and stands["next_at"] > database.clock():
            self.uninvited.append((saga, f"{what}, and {service} was open"))

    def _listed(self, _: Transaction, __: Values, result: Result) -> None:
        """A worker has read how services stand: from now on whoever looks can know."""
        for name, _state, turn, *_rest in result.lines or []:
            if self._opened.get(name, (-1, 0.0))[0] != turn:
                self._opened[name] = (turn, self._database.timers.now())

    def _beat(self, t: Transaction, p: Values, _: Result) -> None:
        self._beats[p["me"]] = t.at

    def _write(self, t: Transaction, p: Values, result: Result) -> None:
        tables = t.tables
        for line in result.lines or []:
            saga = t.find(tables.saga, line[0])
            claims = {epoch for of, epoch in zip(p["saga"], p["epoch"], strict=True) if of == line[0]}
            if saga is not None and claims != {saga["epoch"]}:
                self.found.append((line[0], "it was written under a claim that is over"))
            if t.find(tables.worker, (p["me"], p["lane"])) is None:
                self.found.append((line[0], "it was written by a worker that was declared dead"))

    def _orphans(self, t: Transaction, _: Values, result: Result) -> None:
        alive = {values["id"] for _, values in t.all(t.tables.worker)}
        for (saga,) in result.lines or []:
            before = t.tables.saga.rows[saga].committed
            if before is not None and before["owner"] in alive:
                self.found.append((saga, "it was taken from a worker that is alive"))


def _watched(model: Model, look: _Look) -> Model:
    run = model.run

    def go(t: Transaction, p: Values) -> Course:
        course = run(t, p)
        result = course if isinstance(course, Result) else (yield from course)
        look(t, p, result)
        return result

    watched: Run = go
    return replace(model, run=watched)


class WatchedNetwork(Network):
    """The network of one worker; notes what leaves when its lease is over.

    worker: its id at this moment. lags: every answer of a service lags as far behind as the service declares.
    """

    def __init__(
        self, host: Host, process: Process, watch: Watch, worker: Callable[[], object], *, lags: bool
    ) -> None:
        super().__init__(host, process)
        self._lags = lags
        self._excused_until = -1.0
        self._watch = watch
        self._worker = worker

    async def request(self, effect: LiveEffect, call: Call, checked: float) -> Any:
        """Look, then send."""
        if self._host.machine.now > self._excused_until and not self._watch.leased(self._worker()):
            self._watch.found.append(
                (call.saga, f"{effect.identity} was sent by a worker whose lease was over")
            )
        if self._host.machine.now > self._excused_until:
            self._watch.called(call.saga, effect.step.service.name, f"{effect.identity} was sent")
        return await super().request(effect, call, checked)

    def status(self, effect: LiveEffect, call: Call, *, lag: float) -> Answer[Any]:
        """As it stood then."""
        return super().status(effect, call, lag=0.999 if self._lags else lag)

    async def _freeze(self, effect: LiveEffect) -> None:
        """What this process was about to send beside it leaves late, too, and is covered by `lateness` as well (S11)."""
        seconds = effect.step.service.promises.lateness.total_seconds() * 0.5
        self._excused_until = max(self._excused_until, self._host.machine.now + seconds)
        await super()._freeze(effect)

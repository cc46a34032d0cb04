"""A service that is down for ten minutes under load, in virtual time: what its breaker spares everybody."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf
from typing import Any

import pytest

from saga import Breaker, Retry, Service, saga
from saga.core.breaker import State
from saga.core.model import SagaStatus
from saga.testing.invariants import Violation, broken
from saga.testing.invariants.record import Record
from saga.testing.simulation.chance import Scripted
from saga.testing.simulation.network import NO_ANSWER, NO_CONNECTION, UNANSWERED
from saga.testing.simulation.simulation import Setting, Simulation, Start, engine_of
from saga_worker.clocks import Pace
from saga_worker.effects import LiveEffect
from tests.proof.profiles import PROFILES
from tests.proof.shapes import make_step

DOWN, UP = 30.0, 630.0
EVERY_S, COUNT = 2.0, 330
FAILURES, COOL_DOWN, WORKERS = 5, 20.0, 2
LONG: dict[str, Any] = {"settle_within": "1m", "timeout": "2s", "retry": Retry(5, first="200ms", most="5s")}


def service(name: str, breaker: Breaker | None = None) -> Service:
    return Service(name, remembers="all", key_lifetime="24h", lateness="2s", staleness="0s", breaker=breaker)


@dataclass
class Outage(Simulation):
    """A simulation in which psp cannot be had for ten minutes. how: what happens to a request meanwhile; tried: when one was."""

    how: str = NO_CONNECTION
    tried: list[float] = field(default_factory=list[float])

    def fault(self, effect: LiveEffect, point: str, *, probe: bool) -> str | None:
        del point
        if effect.step.service.name != "psp" or not DOWN <= self.machine.now < UP:
            return None
        self.tried.append(self.machine.now)
        return NO_ANSWER if probe else self.how


@dataclass(frozen=True)
class Ran:
    """What came of it. counted: failed attempts that count against a budget."""

    record: Record
    violations: list[Violation]
    tried: list[float]
    counted: int
    state: str

    def statuses(self, name: str) -> set[SagaStatus]:
        return {claim.status for claim in self.record.sagas if claim.key.startswith(name)}

    def sent(self, begin: float, end: float) -> list[float]:
        """When requests reached psp in this time."""
        return [s.at for s in self.record.ledger.sent if s.named.service == "psp" and begin <= s.at < end]


def run(how: str) -> Ran:
    """Two kinds of sagas, one every two seconds each; psp is away from second 30 to second 630."""
    full = PROFILES["full"]
    psp, stock, mail = service("psp", Breaker(FAILURES, "30s", "20s")), service("stock"), service("mail")
    reserve, charge = make_step(full, stock, "reserve", **LONG), make_step(full, psp, "charge", **LONG)
    tell = make_step(full, mail, "tell", **LONG)

    @saga("pay")
    async def pay(order: str) -> str:
        await reserve(order)
        return str(await charge(order))

    @saga("news")
    async def news(order: str) -> str:
        return str(await tell(order))

    setting = Setting(workers=WORKERS, pace=Pace(round=1.0, reap=2.0, look=1.0), moments=(), batch_faults=())
    simulation = Outage(engine_of([pay, news]), Scripted({}, seed=7), setting, how=how)
    try:
        for number in range(COUNT):
            at = number * EVERY_S
            simulation.start(
                Start(pay, f"o{number}", f"pay{number}", at, frozenset({"reserve#1", "charge#1"}))
            )
            simulation.start(Start(news, f"n{number}", f"news{number}", at, frozenset({"tell#1"})))
        rested = simulation.run(faults_until=UP, limit=UP + 300.0)
        record = simulation.record(rested=rested)
        (row,) = simulation.database.rows("service")
        replies = [
            json.loads(e["body"]) for e in simulation.database.rows("evidence") if e["kind"] == "reply"
        ]
        counted = sum(
            not one.get("excused") for one in replies if one["outcome"] in {"unknown", "not_executed"}
        )
        return Ran(record, broken(record), simulation.tried, counted, row["state"])
    finally:
        simulation.close()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("how", [NO_CONNECTION, UNANSWERED])
def test_a_service_that_is_down_for_ten_minutes(how: str) -> None:
    """Every saga completes, however its calls failed: nothing is compensated or parked, and hardly an attempt is burnt.

    Doubts wait, too, although their budget is a minute; other sagas do not notice; and it is let in again by waves.
    """
    ran = run(how)
    assert ran.violations == []
    assert ran.statuses("pay") == ran.statuses("news") == {SagaStatus.COMPLETED}
    assert ran.state == State.CLOSED
    # What opened it counts, at each worker that saw it open by itself; what came back behind that is excused.
    assert ran.counted <= WORKERS * (FAILURES - 1)
    canaries = [at for at in ran.tried if at > DOWN + 15.0]
    assert len(canaries) <= (UP - DOWN) / COOL_DOWN + 1
    assert all(later - one > COOL_DOWN * 0.97 for one, later in pairwise(canaries))
    # Nobody else waits.
    begun = {f"news{n}": n * EVERY_S for n in range(COUNT)}
    told = [(e.at, begun[e.named.saga]) for e in ran.record.ledger.entries if e.named.service == "mail"]
    assert max(at - start for at, start in told) < 1.0
    # A canary goes alone, a few follow, then more and more.
    first = min(ran.sent(UP, inf))
    assert len(ran.sent(UP, first + 0.02)) <= 3
    assert len(ran.sent(first, first + 1.0)) < 0.3 * COUNT
    assert len(ran.sent(first, first + 15.0)) > 0.8 * COUNT

"""A rolling deploy on real worker processes: old ones serve version 1, new ones 1 and 2, and some are killed meanwhile."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from examples.checkout.orders import SOLD_OUT
from examples.checkout.services.control import Fault, Services
from saga.dev.processes import wait_until
from tests.support.crew import Crew, CrewMember
from tests.support.doors import Doors
from tests.support.ledgers import assert_bought, assert_undone
from tests.support.rolling import NEW, OLD, STEPS, engine_for, first, second
from tests.support.stage import Stage

ORDERS = 8


@pytest.fixture
def stage(database_url: str) -> Generator[Stage]:
    """A shop that can start both versions."""
    made = Stage(database_url, engine_for(database_url))
    made.watch_ownership()
    yield made
    made.close()


def stuck(stage: Stage) -> list[str]:
    """What `saga stuck` lists, with what one can do."""
    found = stage.engine.blocking.wait_for(stage.engine.operator("ann").stuck())
    return [f"{one.cause}: {one.command}" for one in found.findings]


def holder(doors: Doors, crew: list[CrewMember], order: str) -> CrewMember:
    """The worker whose body stands before a door, for an order."""
    pid = doors.knocks(order)[-1].pid
    return next(member for member in crew if member.pid == pid)


class Orders:
    """The orders of one test, with the version that each was started under."""

    def __init__(self, stage: Stage, services: Services) -> None:
        self._stage = stage
        self._services = services
        self._gifts: dict[str, str | None] = {}
        self.versions: dict[str, int] = {}

    def start(self, prefix: str, version: int) -> list[str]:
        """Start some: every second one is undone in its middle, every third one loses a request or a reply."""
        names = [f"{prefix}-{n}" for n in range(ORDERS)]
        for number, name in enumerate(names):
            if number % 3 == 2:
                self._services.payment.fault("charge", list(Fault)[number % 2], order=name)
                self._services.payment.fault("refund", Fault.LOSE_REPLY, order=name)
            gift = SOLD_OUT if number % 2 else None
            self.versions[name], self._gifts[name] = version, gift
            wanted = {} if gift is None else {"gift": gift}
            self._stage.start(first if version == 1 else second, name, **wanted)
        return names

    def assert_right(self) -> None:
        """Each has ended under its version, and each ledger holds exactly what its order says, once."""
        for name, gift in self._gifts.items():
            row = self._stage.wait_for(name, "completed" if gift is None else "compensated", within=40)
            assert row["version"] == self.versions[name]
            (assert_bought if gift is None else assert_undone)(self._services, name)
            self._assert_own_steps(name, undone=gift is not None)

    def _assert_own_steps(self, name: str, *, undone: bool) -> None:
        forward = [e for (_, way), e in self._stage.effects(name).items() if way == "forward"]
        called = [e["step"] for e in sorted(forward, key=lambda e: int(e["position"]))]
        skipped = {"invoice#1"} if undone and self.versions[name] == 1 else set[str]()
        skipped |= set() if undone else {"reserve#2"}
        assert called == [step for step in STEPS[self.versions[name]] if step not in skipped]


@pytest.mark.timeout(120)
def test_a_rolling_deploy_does_nothing_twice_and_loses_nothing(
    stage: Stage, crew: Crew, services: Services, doors: Doors, order: str
) -> None:
    """24 orders of two versions through a deploy with two kills: every one ends under its version, its ledgers are right."""
    orders = Orders(stage, services)
    olds = [crew.hire(app=OLD) for _ in range(2)]
    held_old, held_new = f"{order}-before-0", f"{order}-new-0"
    doors.close("charge", held_old)
    doors.close("charge", held_new)
    orders.start(f"{order}-before", 1)
    doors.wait_held("charge", held_old)
    for member in olds:
        stage.wait_registered(member.pid)
    newer = orders.start(f"{order}-new", 2)
    waits = "no worker serves purchase v2 (workers serve purchase v1)"
    assert any(line.startswith(waits) for line in stuck(stage))
    assert all(stage.saga(name)["epoch"] == 0 for name in newer), (
        "no old worker has touched what it does not know"
    )
    news = [crew.hire(app=NEW) for _ in range(2)]
    doors.wait_held("charge", held_new)
    orders.start(f"{order}-during", 1)
    lost = [holder(doors, olds, held_old), holder(doors, news, held_new)]
    for member in lost:
        member.kill()
    (left,) = (member for member in olds if member not in lost)
    left.terminate()
    news.append(crew.hire(app=NEW))
    doors.open_all()
    orders.assert_right()
    assert left.wait_exit() == 0
    assert crew.all_alive_but(left, *lost)
    ran_new = {knock.pid for name in newer for knock in doors.knocks(name)}
    assert ran_new <= {member.pid for member in news}
    assert {knock.pid for knock in doors.knocks(held_old)} & {member.pid for member in news}


def test_a_deploy_that_is_taken_back_leaves_the_new_sagas_waiting(
    stage: Stage, crew: Crew, services: Services, doors: Doors, order: str
) -> None:
    """New workers die and only old ones are left: what is of the new version waits, visibly, and ends once they are back."""
    doors.close("charge", order)
    newer = crew.hire(app=NEW)
    stage.start(second, order)
    doors.wait_held("charge", order)
    newer.kill()
    crew.hire(app=OLD)
    stage.wait_for(order, "ready")
    wait_until(lambda: len(stuck(stage)) > 0, 10, "a finding")
    assert any(
        "purchase v1)" in line and "with purchase v2 in its sagas=[…]" in line for line in stuck(stage)
    )
    doors.open_all()
    stage.start(first, f"{order}-old")
    stage.wait_for(f"{order}-old", "completed")
    assert stage.saga(order)["status"] == "ready"
    crew.hire(app=NEW)
    stage.wait_for(order, "completed")
    for name in (order, f"{order}-old"):
        assert_bought(services, name)

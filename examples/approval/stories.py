"""What becomes of four large orders, told at the moments at which it does, and what must have come of it.

Rules: a moment is a row or a ledger and never a pause; the end is checked in the ledgers and in what the customer was told.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from examples.approval.sagas import Approval, Approved, approval, engine, large_order
from examples.checkout.orders import CARD_GOOD, Order
from examples.checkout.services.control import Fault, Services
from saga.blocking import BlockingHandle
from saga.demo.workers import WorkerProcess

KINDS = {"inventory": ("reservation", "release"), "payment": ("charge", "refund")}
PATIENCE_S = 20.0
LOOK_S = 0.02


class WentWrong(Exception):
    """A story ended as it must not."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that runs: the services, and a worker process."""

    services: Services
    worker: WorkerProcess


@dataclass(frozen=True, slots=True)
class Ending:
    """What the customer was told in the end, and what the ledgers hold."""

    order: str
    word: str
    ledgers: dict[str, int]


class Telling:
    """One order: prints each moment, what the customer sees then, and what the ledgers hold."""

    def __init__(self, stage: Stage, name: str) -> None:
        self.stage, self.name = stage, name
        order = Order(name, "sku-sofa", 1, CARD_GOOD, Decimal("8400.00"), "ann@example.com")
        self.handle: BlockingHandle[Approved] = engine.blocking.start(large_order, order, key=name)

    def moment(self, what: str) -> None:
        """Something has happened: say it, and what everybody sees now."""
        held = ", ".join(f"{count} {kind}" for kind, count in self.ledgers().items() if count) or "nothing"
        print(f"  {what}")
        print(f"      ledgers: {held}; the customer sees: {self.handle.view().status}")

    def why(self) -> str:
        """What `saga why` says."""
        return engine.blocking.wait_for(engine.operator("the narrator").why(self.name)).sentence

    def waits_for(self, moment: str) -> None:
        """Until the saga has left its worker's memory, and waits for this.

        Raises:
            WentWrong: it never does.
        """
        operator = engine.operator("the narrator")
        until(
            lambda: engine.blocking.wait_for(operator.find(self.name)).waiting_for == moment,
            f"waits for {moment}",
        )

    def ledgers(self) -> dict[str, int]:
        """How many effects of each kind the ledgers hold for the order."""
        return {
            kind: len(getattr(self.stage.services, name).book().of(kind, self.name))
            for name, kinds in KINDS.items()
            for kind in kinds
        }

    def end(self, word: str, **ledgers: int) -> Ending:
        """Wait for the end, and compare it with what it must be.

        Raises:
            WentWrong: it is another one.
        """
        self.handle.view(wait="30s")
        self.moment("the end")
        ending = Ending(
            self.name, str(self.handle.view().status), {k: n for k, n in self.ledgers().items() if n}
        )
        if (ending.word, ending.ledgers) != (word, ledgers):
            raise WentWrong(f"{self.name}: expected {word} and {ledgers}, not {ending}")
        return ending


def approved_after_the_worker_died(stage: Stage) -> Ending:
    """The manager approves, and the worker that had the order has died meanwhile."""
    story = Telling(stage, "order-1")
    story.waits_for("approval#1")
    story.moment("the stock is held, and the saga waits for the manager, in nobody's memory")
    print(f"      saga why: {story.why()}")
    stage.worker.kill()
    story.handle.send(approval, Approval("Bob", granted=True))
    story.moment(
        "the worker was killed; the manager has approved, which is written down although nobody listens"
    )
    stage.worker.start()
    story.waits_for("sleep#1")
    story.moment(
        "another worker has charged the card; the days in which the customer may think better of it run"
    )
    return story.end("confirmed", reservation=1, charge=1)


def turned_down(stage: Stage) -> Ending:
    """The manager says no: the stock is given back, and nothing was ever charged."""
    story = Telling(stage, "order-2")
    story.waits_for("approval#1")
    story.handle.send(approval, Approval("Bob", granted=False))
    return story.end("declined", reservation=1, release=1)


def forgotten(stage: Stage) -> Ending:
    """Nobody answers in time: the stock is given back, and the customer may try again."""
    story = Telling(stage, "order-3")
    story.waits_for("approval#1")
    story.moment("the manager is on holiday")
    return story.end("try_again", reservation=1, release=1)


def told_twice_and_early(stage: Stage) -> Ending:
    """The approval is delivered twice, before the saga waits for it, and the charge's reply is lost: one charge."""
    stage.services.payment.fault("charge", Fault.LOSE_REPLY)
    story = Telling(stage, "order-4")
    for _ in range(2):
        story.handle.send(approval, Approval("Bob", granted=True), key="webhook-7")
    story.moment("the manager's tool has delivered the same webhook twice, at once")
    return story.end("confirmed", reservation=1, charge=1)


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for what happens in another process.

    Raises:
        WentWrong: it never does.
    """
    limit = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > limit:
            raise WentWrong(f"it never happened: {what}")
        time.sleep(LOOK_S)


STORIES = (approved_after_the_worker_died, turned_down, forgotten, told_twice_and_early)

"""The stage: a Postgres of its own, three services, two workers; and the customer, who looks at one trip all the time.

Rules: everything is a real process and ends with this one. The customer's looks are taken by a thread of their own, so
that no word is missed because nobody asked at that moment.
"""

import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from examples.travel.bookings import Booking
from examples.travel.sagas import engine, trip
from examples.travel.services.control import Services, start_all
from saga.core.model import SETTLED
from saga.demo.workers import WorkerProcess
from saga.dev import embedded
from saga.store import migrate

LEASE = "2s"
"""A worker that is silent for so long is declared dead; short, because nobody wants to wait for that in a story."""
BETWEEN_LOOKS = 0.02
KINDS = {
    "airline": ("seat", "cancel_seat"),
    "hotel": ("room", "cancel_room"),
    "payment": ("charge", "refund"),
}


class Customer:
    """Looks at one trip every 20 ms, and remembers every word that was new."""

    def __init__(self, trip_id: str) -> None:
        self._handle = engine.blocking.handle(trip, key=trip_id)
        self.words: list[str] = []
        self._gone = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)
        self._thread.start()

    def look(self) -> str:
        """The word that is shown now."""
        return str(self._handle.view().status)

    def wait_for_the_end(self) -> None:
        """Until the saga has ended, half a minute at the most."""
        self._handle.view(wait="30s")

    def go(self) -> None:
        """No more looks."""
        self._gone.set()
        self._thread.join()

    def last_look(self) -> tuple[str, ...]:
        """One look more, and none after it; every word there was, in order."""
        self.go()
        self._note(self.look())
        return tuple(self.words)

    def _look_on(self) -> None:
        while not self._gone.wait(BETWEEN_LOOKS):
            self._note(self.look())

    def _note(self, word: str) -> None:
        if not self.words or self.words[-1] != word:
            self.words.append(word)


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that runs."""

    services: Services
    workers: list[WorkerProcess]
    exits: ExitStack

    def book(self, booking: Booking) -> Customer:
        """The customer books, and begins to look."""
        engine.blocking.start(trip, booking, key=booking.id)
        customer = Customer(booking.id)
        self.exits.callback(customer.go)
        return customer

    def why(self, trip_id: str) -> str:
        """What `saga why` says."""
        return engine.blocking.wait_for(engine.operator("the narrator").why(trip_id)).sentence

    def in_doubt(self, trip_id: str) -> set[str]:
        """The steps of which nobody knows yet whether they happened."""
        story = engine.blocking.wait_for(engine.operator("the narrator").show(trip_id))
        return {effect.name for effect in story.effects if effect.status not in SETTLED}

    def worker_of(self, trip_id: str) -> WorkerProcess:
        """The process that runs the trip at this moment."""
        operator = engine.operator("the narrator")
        owner = engine.blocking.wait_for(operator.find(trip_id)).owner
        lives = engine.blocking.wait_for(operator.workers())
        pid = next(life.pid for life in lives if life.id == owner)
        return next(worker for worker in self.workers if worker.pid == pid)

    def ledgers(self, trip_id: str) -> dict[str, int]:
        """How many effects of each kind the three ledgers hold for the trip."""
        return {
            kind: len(getattr(self.services, name).book().of(kind, trip_id))
            for name, kinds in KINDS.items()
            for kind in kinds
        }


@contextmanager
def raise_curtain(directory: Path) -> Generator[Stage]:
    """The stage, with logs and ledgers in `directory`; empty again at the end."""
    with ExitStack() as stack:
        services = stack.enter_context(start_all(directory))
        database = stack.enter_context(embedded.temporary())
        migrate.upgrade(database.url, "saga")
        engine.use(database.url)
        engine.blocking.wait_for(engine.prepare())
        stack.callback(engine.blocking.close)
        environment = {**services.environment(), "SAGA_DATABASE_URL": database.url}
        command = ["worker", "run", "examples.travel.sagas:engine", "--lease", LEASE]
        workers: list[WorkerProcess] = []
        for number in (1, 2):
            workers.append(WorkerProcess(command, environment, directory / f"worker-{number}.log"))
            stack.callback(workers[-1].end)
        yield Stage(services, workers, stack)

"""What stands on the stage: the shop with its services and workers, or the naive shop with services of its own.

Rules: whatever was started is ended when the stage is left, last started first; all of it is tied to this process
besides. A worker that ends of itself ends the show: nobody but the killer may kill.
"""

import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from saga.demo.audit import Books
from saga.demo.example import PACKAGE, control, processes
from saga.demo.workers import WorkerProcess

LEASE = "2s"
WORK = 0.03  # seconds that a service takes for a request: long enough to be killed in
REST_WITHIN = 10.0
PARKED = "SELECT key FROM saga.saga WHERE status = 'parked'"  # reads only; no row: nobody waits for a person


class ShowFailed(Exception):
    """The show could not go on; the message says why."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One shop and what belongs to it. `crew` is empty and `database` is None on the naive stage."""

    shop: "processes.ServedProcess"
    services: "control.Services"
    crew: Sequence[WorkerProcess] = ()
    database: str | None = None

    def check_the_crew(self) -> None:
        """Raises `ShowFailed` if a worker ended of itself."""
        for worker in self.crew:
            if (code := worker.died()) is not None:
                raise ShowFailed(f"a worker ended of itself (exit {code}):\n{worker.last_words()}")

    def dismiss_the_crew(self) -> None:
        """All workers drain and end."""
        for worker in self.crew:
            worker.ask_to_end()
        for worker in self.crew:
            worker.end()

    def parked(self) -> set[str]:
        """The ids of the orders whose saga waits for a person."""
        if self.database is None:
            return set()
        with psycopg.connect(self.database) as connection:
            return {str(key).removeprefix("order:") for (key,) in connection.execute(PARKED)}

    def come_to_rest(self) -> None:
        """Waits until no service has work in hand: what still lands has landed then.

        Raises:
            ShowFailed: there still is some after a time in which every stall ends.
        """
        until = time.monotonic() + REST_WITHIN
        while any(service.in_flight() for service in self.services.all()):
            if time.monotonic() > until:
                raise ShowFailed(f"the services do not come to rest in {REST_WITHIN:.0f} s")
            time.sleep(0.05)

    def books(self) -> Books:
        """The ledgers of all three services."""
        return Books(*(service.book() for service in self.services.all()))


@contextmanager
def saga_stage(place: Path, seed: int, database: str, workers: int) -> Generator[Stage]:
    """The shop of the example, its services with faults from the seed, and its workers."""
    with control.start_all(place, seed=seed, work=WORK) as services, ExitStack() as stack:
        environment = {**services.environment(), "SAGA_DATABASE_URL": database}
        shop = processes.ServedProcess(f"{PACKAGE}.app", "shop", place, environment=environment)
        stack.callback(shop.stop)
        command = ["worker", "run", f"{PACKAGE}.app:engine", "--database", database, "--lease", LEASE]
        crew = [WorkerProcess(command, environment, place / f"worker-{n}.log") for n in range(1, workers + 1)]
        stage = Stage(shop, services, crew, database)
        stack.callback(stage.dismiss_the_crew)
        yield stage


@contextmanager
def naive_stage(place: Path, seed: int) -> Generator[Stage]:
    """The naive shop, with the same services, seed and faults, and fresh ledgers."""
    with control.start_all(place, seed=seed, work=WORK) as services, ExitStack() as stack:
        shop = processes.ServedProcess(f"{PACKAGE}.naive", "shop", place, environment=services.environment())
        stack.callback(shop.stop)
        yield Stage(shop, services)

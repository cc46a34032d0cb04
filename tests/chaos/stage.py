"""Everything that runs: two Postgres, the services, the workers, the customers, and the wires between them.

Rules: whatever was started is ended when the stage is left, last started first, and is tied to this process besides;
a worker that ends by itself is a finding, and gets a successor.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from examples.checkout.processes import ServedProcess, child_environment
from saga.demo.workers import WorkerProcess
from saga.dev import embedded
from saga.store import migrate
from tests.chaos.database import SETTINGS, Pair
from tests.chaos.wires import Chances, Wire

HOSTS = ("market", "street", "warehouse")
WORKERS_DATABASE, SHOPS_DATABASE, REPLICATION = "workers' database", "shop's database", "replication"
LEASE = "3s"
CONCURRENCY = 16
"""Sagas in a worker at once. Whatever a worker holds when it is killed is in doubt, and is settled before it goes on: with a kill
every two seconds a worker that holds two hundred is given more to settle than it can bring to an end."""
ON_HTTP = Chances(reset=0.001, strand=0.0005, late=0.003, most_late_s=1.5)
ON_SQL = Chances(reset=0.0003, strand=0.0001, late=0.002, most_late_s=0.5)
SHOP_FINDS_OUT_S = 15.0
AWAY = ("does not answer", "the database went away")
"""The last words of a worker that began while the database was away: its supervisor begins it again."""
TO_NOWHERE = ("127.0.0.1", 1)


class Hand(WorkerProcess):
    """A worker that can be frozen."""

    def freeze(self) -> int:
        """SIGSTOP; whom it hit."""
        os.kill(self.pid, signal.SIGSTOP)
        return self.pid

    def complaint(self, number: int) -> list[str]:
        """What is wrong with its end: nothing, where it drained, or began while the database was away."""
        said = self.last_words()
        last = said.rsplit("\n", 2)[-2]
        if self.died() in {0, None} or any(words in last for words in AWAY):
            return []
        return [f"worker {number} ended by itself (exit {self.died()}):\n{said}"]

    def tell(self) -> None:
        """What it waits for goes to its log."""
        os.kill(self.pid, signal.SIGUSR2)

    def thaw(self, pid: int) -> None:
        """SIGCONT, if that process is still the one."""
        if self.pid == pid and self.died() is None:
            os.kill(pid, signal.SIGCONT)


@dataclass(slots=True)
class Stage:
    """What the faults hit and the audit reads."""

    place: Path
    pair: Pair
    warehouse_url: str
    services: dict[str, ServedProcess]
    wires: dict[str, Wire]
    crew: list[Hand]
    environment: dict[str, str]
    replicating: bool = True
    gone: list[str] = field(default_factory=list[str])
    """Workers that ended by themselves, with their last words."""

    def dismiss(self) -> None:
        """Nobody works any more."""
        for worker in self.crew:
            worker.kill()

    def tend(self) -> None:
        """A successor for whoever ended by themselves."""
        for number, worker in enumerate(self.crew):
            if worker.died() is not None:
                self.gone += worker.complaint(number)
                worker.start()


@asynccontextmanager
async def stage(place: Path, seed: int, workers: int) -> AsyncGenerator[Stage]:
    """Set it, and take it down."""
    with ExitStack() as stack:
        server = stack.enter_context(embedded.temporary(settings=SETTINGS))
        own = stack.enter_context(embedded.temporary(settings={"max_connections": "100"}))
        migrate.upgrade(server.url)
        wires = {}
        replication = Wire(
            REPLICATION, lambda: made.pair.primary.socket if made.replicating else TO_NOWHERE, seed
        )
        await replication.open()
        stack.callback(replication.close)
        pair = Pair(server, replication.port)
        services = _services(stack, place, seed, own.url)
        wires = {h: Wire(h, lambda h=h: ("127.0.0.1", services[h].port), seed, ON_HTTP) for h in HOSTS}  # type: ignore[misc]
        wires[WORKERS_DATABASE] = Wire(WORKERS_DATABASE, lambda: pair.primary.socket, seed, ON_SQL)
        wires[SHOPS_DATABASE] = Wire(
            SHOPS_DATABASE, lambda: pair.primary.socket, seed, ON_SQL, SHOP_FINDS_OUT_S
        )
        for wire in wires.values():
            await wire.open()
            stack.callback(wire.close)
        wires[REPLICATION] = replication
        environment = {f"{h.upper()}_URL": f"http://127.0.0.1:{wires[h].port}" for h in HOSTS}
        made = Stage(place, pair, own.url, services, wires, [], environment)
        await asyncio.to_thread(pair.replicate)
        for number in range(workers):
            made.crew.append(_worker(made, number))
        stack.callback(made.dismiss)
        yield made


def url_through(wire: Wire) -> str:
    """The database as it is reached over a wire."""
    return f"postgresql://postgres@127.0.0.1:{wire.port}/saga?sslmode=disable&gssencmode=disable"


def start_customers(here: Stage, rate: float, seed: int, log: Path) -> subprocess.Popen[bytes]:
    """The process of the customers; its standard input is its leash."""
    command = [
        sys.executable,
        "-m",
        "tests.chaos.customers",
        "--log",
        str(log),
        "--rate",
        str(rate),
        "--seed",
        str(seed),
    ]
    url = url_through(here.wires[SHOPS_DATABASE])
    with (here.place / "customers.log").open("ab") as said:
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=said, stderr=said, start_new_session=True,
            env=child_environment({**here.environment, "SAGA_DATABASE_URL": url}),
        )  # fmt: skip


def tell(process: subprocess.Popen[bytes], word: str) -> None:
    """A line to a process that listens to its standard input."""
    pipe: IO[bytes] | None = process.stdin
    assert pipe is not None
    pipe.write(f"{word}\n".encode())
    pipe.flush()


def _services(stack: ExitStack, place: Path, seed: int, warehouse_url: str) -> dict[str, ServedProcess]:
    made: dict[str, ServedProcess] = {}
    for host in HOSTS:
        arguments = ["--host", host, "--ledgers", str(place), "--seed", str(seed)]
        made[host] = ServedProcess(
            "tests.chaos.services",
            host,
            place,
            *arguments,
            environment={"WAREHOUSE_DATABASE_URL": warehouse_url},
        )
        stack.callback(made[host].stop)
    return made


def _worker(here: Stage, number: int) -> Hand:
    url = url_through(here.wires[WORKERS_DATABASE])
    options = ["--database", url, "--lease", LEASE, "--lanes", "2", "--concurrency", str(CONCURRENCY)]
    command = ["worker", "run", "tests.chaos.sagas:engine", *options]
    return Hand(command, here.environment, here.place / f"worker-{number}.log")

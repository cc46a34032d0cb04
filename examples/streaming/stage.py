"""The stage of the page and of the ride: a Postgres of its own, services that can be troubled, a worker; and the telling.

Rules: everything is a real process and ends with this one; trouble is made with a kill, a gate or a fault and never with a
pause; what a story must come to is checked in the view and in the services' ledgers, and one that comes to something else
fails.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Generic, TypeVar

import httpx

from examples.checkout.processes import ServedProcess
from examples.checkout.services.control import Point, ServiceProcess
from saga import Engine, SagaDefinition, SagaFailed
from saga.demo.workers import WorkerProcess
from saga.dev import embedded
from saga.store import migrate

T = TypeVar("T")

LEASE = "5s"
PATIENCE = "30s"
"""For an end; a slow machine needs some of it, and a story that went wrong all."""


class WentWrong(Exception):
    """A story came to something that it must not come to."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays: the engine as a worker is given it, and each service's module by its name."""

    app: str
    services: Mapping[str, str]


class Neighbour(ServiceProcess):
    """One of the services as a process: the machinery of the checkout's, and another module in it."""

    def __init__(self, name: str, module: str, directory: Path) -> None:
        ServedProcess.__init__(self, module, name, directory, "--ledger", str(directory))
        self._http = httpx.Client(trust_env=False, timeout=30.0)


@dataclass(frozen=True, slots=True)
class Fallback:
    """What took a step's place. age: seconds, of a last good value."""

    step: str
    reason: str
    age: float | None


@dataclass(frozen=True, slots=True)
class Ending(Generic[T]):
    """What a customer got in the end: the word, the result, what it does without, what the ledgers hold for it."""

    story: str
    key: str
    word: str
    result: T | None
    degraded: tuple[Fallback, ...]
    ledgers: dict[str, int]


@dataclass(slots=True)
class Stage:
    """Everything that runs, and every ending so far. story: the one that is being told."""

    engine: Engine
    services: dict[str, Neighbour]
    endings: list[Ending[Any]] = field(default_factory=list[Ending[Any]])
    story: str = ""

    def run(
        self, saga: SagaDefinition[Any, T], value: object, *, key: str, kinds: Mapping[str, str]
    ) -> Ending[T]:
        """Start a saga for a customer and wait for its end. kinds: which effects are counted, and in whose ledger."""
        handle = self.engine.blocking.start(saga, value, key=key)
        result: T | None = None
        with suppress(SagaFailed):  # the word says it
            result = handle.result(PATIENCE)
        view = handle.view()
        fell_back = tuple(Fallback(d.step, d.reason, _seconds(d.age)) for d in view.degraded)
        held = {kind: len(self.services[service].book().of(kind, key)) for kind, service in kinds.items()}
        ending = Ending(self.story, key, str(view.status), result, fell_back, held)
        self.endings.append(ending)
        return ending


@contextmanager
def down(service: Neighbour) -> Generator[None]:
    """The process is killed with kill -9, and started again at the end of the block."""
    service.kill()
    try:
        yield
    finally:
        service.restart()


@contextmanager
def slow(service: Neighbour, operation: str) -> Generator[None]:
    """Whatever asks for the operation gets no answer until the end of the block."""
    service.close_gate(operation, Point.BEFORE, count=1000)
    try:
        yield
    finally:
        service.open_gate(operation, Point.BEFORE)


def require(ending: Ending[Any], holds: bool, what: str) -> None:  # noqa: FBT001 - it reads as an assertion
    """What a story must have come to.

    Raises:
        WentWrong: it has not.
    """
    if not holds:
        raise WentWrong(f"{ending.key}: {what}; and it was {ending}")


def say(began: float, ending: Ending[Any], *lines: str) -> None:
    """What the customer sees, and what it does without."""
    print(f"  {time.monotonic() - began:5.2f} s  {ending.key}: {ending.word.replace('_', ' ')}")
    for line in lines:
        print(f"           {line}")
    for one in ending.degraded:
        old = "" if one.age is None else f"; shown is what it said {one.age:.1f} s before"
        print(f"           without {one.step}: {one.reason}{old}")
    held = ", ".join(f"{count} {kind}" for kind, count in ending.ledgers.items() if count)
    print(f"           ledgers: {held or 'nothing'}", flush=True)


def tell(name: str, engine: Engine, cast: Cast, stories: Sequence[Callable[[Stage], None]]) -> int:
    """Tell every story on a stage of their own; the exit code of `python -m examples.NAME`."""
    parser = argparse.ArgumentParser(prog=f"python -m examples.{name}")
    parser.add_argument(
        "--json", action="store_true", help="end with a line of JSON: what every customer got"
    )
    given = parser.parse_args()
    began = time.monotonic()
    try:
        with (
            tempfile.TemporaryDirectory(prefix=f"{name}-") as directory,
            raise_curtain(Path(directory), engine, cast) as stage,
        ):
            for number, story in enumerate(stories, 1):
                print(f"\n{number}. {story.__doc__}\n", flush=True)
                stage.story = story.__name__
                story(stage)
    except (WentWrong, TimeoutError) as wrong:
        print(f"WENT WRONG: {wrong}", file=sys.stderr)
        return 1
    print(f"\nEvery story ended as it must, after {time.monotonic() - began:.1f} s.")
    if given.json:
        print(json.dumps({"v": 1, "endings": [asdict(one) for one in stage.endings]}, default=str))
    return 0


@contextmanager
def raise_curtain(directory: Path, engine: Engine, cast: Cast) -> Generator[Stage]:
    """The stage, with logs and ledgers in `directory`; empty again at the end."""
    with ExitStack() as stack:
        with ThreadPoolExecutor(len(cast.services)) as pool:
            starting = {
                n: pool.submit(Neighbour, n, module, directory) for n, module in cast.services.items()
            }
        services = {name: one.result() for name, one in starting.items()}
        for one in services.values():
            stack.callback(one.stop)
        database = stack.enter_context(embedded.temporary())
        migrate.upgrade(database.url, "saga")
        engine.use(database.url)
        engine.blocking.wait_for(engine.prepare())
        stack.callback(engine.blocking.close)
        places = {f"{name.upper()}_URL": one.url for name, one in services.items()}
        environment = {**places, "SAGA_DATABASE_URL": database.url}
        worker = WorkerProcess(
            ["worker", "run", cast.app, "--lease", LEASE], environment, directory / "worker.log"
        )
        stack.callback(worker.end)
        yield Stage(engine, services)


def _seconds(age: timedelta | None) -> float | None:
    return None if age is None else age.total_seconds()

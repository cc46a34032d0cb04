"""`saga worker`: run workers, and list those that are alive.

Rules that hold here: SIGTERM and SIGINT drain; a second signal ends at once; processes are spawned and never forked.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import importlib.util
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from saga.cli import logs
from saga.cli.desk import at_desk
from saga.cli.exits import Exit, Usage
from saga.cli.output import Form, FormOption, emit, worker_json
from saga.cli.target import DatabaseOption, SchemaOption, engine_for
from saga.core.durations import parse, show
from saga.engine import Engine

if TYPE_CHECKING:
    from saga_worker.worker import Worker

workers = typer.Typer(
    help="Workers: the processes that run sagas.", no_args_is_help=True, rich_markup_mode=None
)

ORPHAN_CHECK_S = 1.0
NEW_OBJECTS, OLDER = 20_000, (20, 20)
THREADS = "saga-step"
"""How the threads of `def` steps are named."""


def add_to(app: typer.Typer) -> None:
    """The commands of `worker`."""
    app.add_typer(workers, name="worker")


@dataclass(frozen=True, slots=True)
class Settings:
    """How a worker process works."""

    lease: str
    concurrency: int
    lanes: int


@workers.command("run")
def run_workers(
    *,
    app: Annotated[str, typer.Argument(metavar="APP", help="MODULE:ENGINE, for example shop.app:engine.")],
    url: DatabaseOption = None,
    processes: Annotated[int, typer.Option(min=1, help="How many worker processes.")] = 1,
    lease: Annotated[str, typer.Option(help="A worker that is silent for so long is declared dead.")] = "15s",
    concurrency: Annotated[int, typer.Option(min=1, help="Sagas in memory at once, in each process.")] = 200,
    lanes: Annotated[int, typer.Option(min=1, help="Writers of the journal, in each process.")] = 2,
    parent: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> int:
    """Run sagas until SIGTERM or Ctrl-C, then drain."""
    _check_lease(lease)
    logs.configure()
    engine = engine_for(url, "saga", app)
    if not engine.registry.sagas:
        raise Usage(f"{app} serves no saga: give its Engine some, sagas=[…]")
    settings = Settings(lease, concurrency, lanes)
    if processes == 1:
        return _leave(_loop_runner()(_work(engine, settings, parent)))
    asyncio.run(_prepare(engine))
    from saga_worker.supervisor import Supervisor

    command = [sys.executable, "-m", "saga.cli.main", "worker", "run", app, *([] if url is None else ["--database", url]),
               "--lease", lease, "--concurrency", str(concurrency), "--lanes", str(lanes),
               "--parent", str(os.getpid())]  # fmt: skip
    return _loop_runner()(_until_signalled(Supervisor(command, processes)))


@workers.command("list")
def list_workers(
    *, url: DatabaseOption = None, schema: SchemaOption = "saga", form: FormOption = Form.TABLE
) -> None:
    """The workers that are registered, and when each was last heard of."""
    found = at_desk(url, schema, None, lambda desk: desk.workers())
    table = [["WORKER", "HOST", "PID", "STATE", "BEAT", "SAGAS", "SERVES"]]
    table += [
        [str(w.id), w.host, str(w.pid), w.state if w.alive else "! silent", f"{show(w.silent_for)} ago", str(w.sagas),
         ", ".join(w.serves)]
        for w in found
    ]  # fmt: skip
    emit(form, "workers", [worker_json(w) for w in found], table)


def _check_lease(lease: str) -> None:
    try:
        seconds = parse(lease).total_seconds()
    except (TypeError, ValueError) as error:
        raise Usage(f"--lease: {error}") from None
    if seconds < 1:
        raise Usage("--lease is 1s at the least: a shorter one makes healthy workers look dead")


def _leave(code: int) -> int:
    """End although a `def` step hangs: Python would wait for its thread, and its saga is somebody else's by now."""
    if any(thread.name.startswith(THREADS) for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


async def _prepare(engine: Engine) -> None:
    await engine.prepare()
    await engine.close()


async def _work(engine: Engine, settings: Settings, parent: int | None) -> int:
    from saga_worker.worker import Worker

    _collect_rarely()
    worker = Worker(engine, lease=settings.lease, concurrency=settings.concurrency, lanes=settings.lanes)
    watch = None if parent is None else asyncio.create_task(_watch_parent(worker, parent))
    try:
        return await _until_signalled(worker)
    finally:
        if watch is not None:
            watch.cancel()
        await engine.close()


def _collect_rarely() -> None:
    """Let Python look for cycles after 20,000 new objects, and never among those that stay.

    By default it looks after 700, and at a thousand sagas a second that took a quarter of a worker's time (`benchmarks`).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, *OLDER)


async def _watch_parent(worker: Worker, parent: int) -> None:
    """Drain when the supervisor is gone, even if it was killed and could not say so."""
    while os.getppid() == parent:  # noqa: ASYNC110 - nothing tells of a parent's death but this
        await asyncio.sleep(ORPHAN_CHECK_S)
    worker.stop()


async def _until_signalled(runs: Any) -> int:
    """Run it; the first signal asks it to stop, a second ends the process as the signal would."""
    loop = asyncio.get_running_loop()
    seen: list[int] = []

    def asked(number: int) -> None:
        seen.append(number)
        runs.stop()
        for one in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(one)

    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, asked, one)
    await runs.run()
    return Exit.INTERRUPTED if signal.SIGINT in seen else Exit.OK


def _loop_runner() -> Callable[[Any], int]:
    """Asyncio's runner, on uvloop where that is installed."""
    factory = None
    if importlib.util.find_spec("uvloop") is not None:
        factory = importlib.import_module("uvloop").new_event_loop

    def go(work: Any) -> int:
        with asyncio.Runner(loop_factory=factory) as runner:
            code: int = runner.run(work)
            return code

    return go

"""`python -m examples.approval`: tells every story, and ends with 0 only if each ended as it must."""

import sys
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from examples.approval.sagas import engine
from examples.approval.stories import STORIES, Stage, WentWrong
from examples.checkout.services.control import start_all
from saga.demo.workers import WorkerProcess
from saga.dev import embedded
from saga.store import migrate

LEASE = "2s"
"""A worker that is silent for so long is declared dead; short, because nobody wants to wait for that in a story."""


@contextmanager
def raise_curtain(directory: Path) -> Generator[Stage]:
    """A Postgres, the checkout's services and a worker, all of them processes; gone again at the end."""
    with ExitStack() as stack:
        services = stack.enter_context(start_all(directory))
        database = stack.enter_context(embedded.temporary())
        migrate.upgrade(database.url, "saga")
        engine.use(database.url)
        engine.blocking.wait_for(engine.prepare())
        stack.callback(engine.blocking.close)
        environment = {**services.environment(), "SAGA_DATABASE_URL": database.url}
        command = ["worker", "run", "examples.approval.sagas:engine", "--lease", LEASE]
        worker = WorkerProcess(command, environment, directory / "worker.log")
        stack.callback(worker.end)
        yield Stage(services, worker)


def main() -> int:
    """Tell them; the exit code."""
    try:
        with (
            tempfile.TemporaryDirectory(prefix="approval-") as directory,
            raise_curtain(Path(directory)) as stage,
        ):
            for number, story in enumerate(STORIES, 1):
                print(f"\n{number}. {story.__doc__}\n", flush=True)
                story(stage)
    except WentWrong as wrong:
        print(f"WENT WRONG: {wrong}", file=sys.stderr)
        return 1
    print("\nEvery story ended as it must.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

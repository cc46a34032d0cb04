"""One worker as a process: `python -m tests.support.crew_member`, until SIGTERM, or until its parent dies.

Rule: it serves the engine that `--app` names, so that workers of two releases can run side by side.
"""

from __future__ import annotations

import argparse
import asyncio
import signal

from examples.checkout.processes import tie_to_parent
from saga.cli.target import load
from saga_worker.worker import Worker


async def work(options: argparse.Namespace) -> None:
    engine = load(options.app)
    worker = Worker(engine, lease=options.lease, drain_within=options.drain_within, lanes=options.lanes)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    await worker.run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--app", default="tests.support.fire:engine")
    parser.add_argument("--lease", default="2s")
    parser.add_argument("--drain-within", default="10s")
    parser.add_argument("--lanes", type=int, default=2)
    tie_to_parent()
    asyncio.run(work(parser.parse_args()))

"""N worker processes under one parent: started, started again when they die, drained together.

Rules that hold here: processes are spawned and never forked; each is in a session of its own, so that a Ctrl-C in
the terminal reaches the parent alone, and is told on once; one that dies comes back, later and later while it keeps
dying. A parent that is killed cannot tell its children: they look after it themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from saga.logs import log

PAUSE_FIRST_S, PAUSE_MOST_S = 0.5, 30.0
STEADY_S = 10.0
"""A process that lived for so long is not one that keeps dying."""
DRAIN_S = 20.0
"""Longer than a worker's own drain; what is left then is killed."""


class Supervisor:
    """Runs `count` processes of `command` until it is stopped."""

    def __init__(self, command: Sequence[str], count: int) -> None:
        """Start nothing yet."""
        self._command = list(command)
        self._count = count
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Begin to drain. Safe to call from a signal handler of the loop."""
        self._stopping.set()

    async def run(self) -> None:
        """Keep the processes running until `stop`, then until the last has ended."""
        await asyncio.gather(*(self._keep(number) for number in range(1, self._count + 1)))

    async def _keep(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        pause = PAUSE_FIRST_S
        while not self._stopping.is_set():
            begun = loop.time()
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.DEVNULL, start_new_session=True
            )
            log.info("worker_process_started", number=number, pid=process.pid)
            await self._until_over(process)
            if self._stopping.is_set():
                return
            pause = PAUSE_FIRST_S if loop.time() - begun >= STEADY_S else min(pause * 2, PAUSE_MOST_S)
            log.error("worker_process_died", number=number, code=process.returncode, again_in_s=pause)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stopping.wait()

    async def _until_over(self, process: asyncio.subprocess.Process) -> None:
        """Until it has died, or has drained because we stop."""
        died = asyncio.ensure_future(process.wait())
        asked = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait({died, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if not died.done():
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(DRAIN_S):
                    await asyncio.shield(died)
            except TimeoutError:
                log.warning("worker_process_killed", pid=process.pid)
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
        await died

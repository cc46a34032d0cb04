"""Ends a temporary server when the process that began it is gone: `python -m saga.dev.watchdog DIR`.

Rules: it starts before the server does, so that there is no moment in which the server stands alone. It learns of
the owner's end from its standard input, which ends with the owner however the owner ends. It ends what is only
starting, too (initdb, pg_ctl), and removes DIR last, when nobody writes in it any more.
"""

import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path

from saga.dev import processes


def clean(directory: Path) -> None:
    """Ends every program of Postgres that works in the directory, and removes it. Nothing in it is wanted."""

    def gone() -> bool:
        found = {*processes.mentioning(directory), *processes.of_server(directory / "data")}
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not found

    def removed() -> bool:
        shutil.rmtree(directory, ignore_errors=True)
        return not directory.exists()

    processes.wait_until(gone, 30, f"the end of every process in {directory}")
    # initdb's own child is told the directory by its environment, which nobody can see from outside: it outlives
    # initdb for a moment, and writes while it ends.
    processes.wait_until(removed, 30, f"the removal of {directory}")


def main() -> None:
    """Waits for the owner's end, deaf to what is meant for the owner, and cleans."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    while sys.stdin.buffer.read(1):
        pass
    clean(Path(sys.argv[1]))


if __name__ == "__main__":
    main()

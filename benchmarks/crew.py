"""Worker processes as a user runs them, and what the operating system says about one.

Rule that holds here: a crew is tied to this process, and ends with it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from saga.demo.workers import WorkerProcess

KIB = 1024


@contextlib.contextmanager
def crew(url: str, *options: str, processes: int = 1) -> Generator[list[WorkerProcess]]:
    """So many times `saga worker run`, with these options besides; ended in the end."""
    command = ["worker", "run", "benchmarks.shop:engine", "--database", url, *options]
    with ExitStack() as stack:
        place = Path(stack.enter_context(TemporaryDirectory(prefix="saga-bench-")))
        made = [WorkerProcess(command, {}, place / f"worker-{number}.log") for number in range(processes)]
        for process in made:
            stack.callback(process.end)
        yield made


def cpu_seconds(pid: int) -> float | None:
    """What a process has computed so far, in itself and for itself; None: this system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """The memory that a process has in RAM."""
    command: Sequence[str] = ("ps", "-o", "rss=", "-p", str(pid))
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) * KIB

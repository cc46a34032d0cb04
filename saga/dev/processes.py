"""Which processes serve a data directory, and waiting until they are really gone.

A postmaster that was killed is not gone at once: its backends end when they notice, and where nobody reaps it (many
containers) it stays as a zombie for ever. Postgres itself takes a zombie for a living server, because a signal can
be sent to it, and refuses to start. So liveness is read from what only a living process has: its working directory,
which for every process of Postgres is its data directory, and which no other program that reuses the number has.
"""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from saga.dev.places import SOCKET, EmbeddedError

PROC = Path("/proc")
PROGRAMS = frozenset({"initdb", "pg_ctl", "postgres", "sh"})  # sh: pg_ctl starts the server through it


def postmaster(data: Path) -> int | None:
    """The process id of the living server of `data`; None where there is none."""
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return pid if pid > 0 and _serves(pid, data) else None


def of_server(data: Path) -> list[int]:
    """Every living process of the server of `data`, so far as the system lets us see."""
    if PROC.is_dir():
        return [pid for pid in _all() if _serves(pid, data)]
    pid = postmaster(data)
    return [] if pid is None else [pid]


def mentioning(directory: Path) -> list[int]:
    """The programs of Postgres that have the directory in their arguments, with those that are only starting."""
    found: list[int] = []
    for pid, arguments in _commands():
        program = os.path.basename(arguments[0]) if arguments else ""  # noqa: PTH119  # a name, not a path to touch
        if (
            program in PROGRAMS
            and pid != os.getpid()
            and any(str(directory) in part for part in arguments[1:])
        ):
            found.append(pid)
    return found


def wait_until(done: Callable[[], bool], seconds: float, what: str) -> None:
    """Returns when `done` says so; after `seconds` raises with `what` was waited for."""
    limit = time.monotonic() + seconds
    while not done():
        if time.monotonic() > limit:
            raise EmbeddedError(f"{what}: not after {seconds:g} s")
        time.sleep(0.01)


def forget(data: Path) -> None:
    """Removes what a dead server left that would keep a new one from starting. Only for a server that is gone."""
    for name in ("postmaster.pid", f"{SOCKET}.lock", SOCKET):
        (data / name).unlink(missing_ok=True)


def _serves(pid: int, data: Path) -> bool:
    if PROC.is_dir():
        try:
            # readlink and not samefile: a server whose directory was removed is "… (deleted)", and serves nothing
            return (PROC / str(pid) / "cwd").readlink() == data
        except OSError:
            return False
    shown = subprocess.run(
        ["/bin/ps", "-o", "stat=,command=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return "postgres" in shown and not shown.lstrip().startswith("Z")


def _all() -> Iterator[int]:
    return (int(name) for name in os.listdir(PROC) if name.isdigit())  # noqa: PTH208  # names only, and often


def _commands() -> Iterator[tuple[int, list[str]]]:
    if PROC.is_dir():
        for pid in _all():
            try:
                yield pid, os.fsdecode((PROC / str(pid) / "cmdline").read_bytes()).split("\0")
            except OSError:
                continue
        return
    listing = subprocess.run(
        ["/bin/ps", "-axo", "pid=,command="], capture_output=True, text=True, check=False
    )
    for line in listing.stdout.splitlines():
        pid_text, *arguments = line.split()
        yield int(pid_text), arguments

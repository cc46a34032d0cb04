"""The embedded Postgres: `embedded:DIR` is a database of one's own, from a wheel, with no download and no daemon.

Rules:

* One server a DIR, whoever asks and however many at once: a file lock in DIR orders them. It listens on a Unix
  socket in a private directory only.
* It is as durable as any Postgres. `fsync=off` has to be asked for.
* `start` leaves a server running when its process ends: that is what a development database is for. `Server.stop`,
  or `python -m saga.dev.embedded stop DIR`, ends it.
* `temporary` is for demos and tests: a watchdog process ends the server and removes its files when the `with` block
  ends, or when its process dies in any way at all, kill -9 included.
* After kill -9 of the server `start` restarts it in place; what was committed is there.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

from saga.dev import cluster, processes
from saga.dev.places import (
    Account,
    EmbeddedError,
    account,
    binaries,
    choose_home,
    record_home,
    recorded_home,
    short_home,
)
from saga.dev.watchdog import clean

__all__ = ["EmbeddedError", "Server", "connect_url", "start", "stop", "temporary"]

SCHEME = "embedded:"
LONGEST_BASE = 60  # bytes; a temporary directory's own name and the socket's come after it
NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Server:
    """A running embedded Postgres: its address, the process id of its postmaster, and its data directory."""

    url: str
    pid: int
    directory: Path
    data: Path

    def stop(self) -> None:
        """Ends the server: open transactions are rolled back, what was committed stays. Stopped already: fine."""
        stop(self.directory)

    def kill(self) -> None:
        """Ends the server with kill -9, as a power cut would, and waits until every process of it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        cluster.wait_until_gone(self.data)


def start(directory: Path, *, settings: Mapping[str, str] = NONE) -> Server:
    """The server of `directory`, which is made, initialised and started as far as it is not yet.

    Args:
        directory: the DIR of `embedded:DIR`; made if absent.
        settings: settings of Postgres by name, over the defaults. They hold from the next start of the server on,
            and until a start names others; a running server keeps its own.

    Raises:
        EmbeddedError: with a sentence that says what to do.
    """
    directory = directory.absolute().resolve()
    who = account()
    programs = binaries(who)
    with _locked(directory):
        home = _home(directory, who, programs)
        data = home / "data"
        pid = processes.postmaster(data)
        if pid is None:
            if not data.exists():
                cluster.initialise(home, who, programs, settings)
            record_home(directory, home)
            pid = cluster.launch(home, who, programs, settings)
        url = f"postgresql://postgres@/{cluster.DATABASE}?host={quote(str(data), safe='')}&port=5432"
        cluster.make_database(url)
    return Server(url, pid, directory, data)


def stop(directory: Path, *, at_once: bool = False) -> None:
    """Ends the server of `directory`, if one runs. `at_once` skips the orderly end: the next start recovers."""
    directory = directory.absolute().resolve()
    home = recorded_home(directory)
    if home is None:
        return
    who = account()
    with _locked(directory):
        cluster.end(home / "data", who, binaries(who), "immediate" if at_once else "fast")


def connect_url(url: str, *, create: bool) -> str:
    """The address of a Postgres for a database URL: `embedded:DIR` is started, any other URL is handed back.

    Args:
        url: what the user gave.
        create: whether a DIR without a database gets one. Only the demo, the tests and `db upgrade` say yes: a
            mistyped DIR must not become an empty database that looks like a loss of everything.

    Raises:
        EmbeddedError: DIR is missing and `create` is false, or the server cannot be had.
    """
    if not url.startswith(SCHEME):
        return url
    name = url.removeprefix(SCHEME)
    if not name:
        raise EmbeddedError(f"{url} names no directory: write {SCHEME}DIR, for example {SCHEME}.saga")
    directory = Path(name).expanduser()
    if not create and recorded_home(directory.absolute().resolve()) is None:
        raise EmbeddedError(f"{name} holds no database yet: run `saga db upgrade --database {SCHEME}{name}`")
    return start(directory).url


@contextlib.contextmanager
def temporary(*, settings: Mapping[str, str] = NONE, within: Path | None = None) -> Generator[Server]:
    """A server in a fresh private directory, ended and removed at the end of the block, however that end comes.

    A watchdog waits for the end of a pipe whose other end only this process holds, and cleans up then: one path for
    the ordinary end, for Ctrl-C and for kill -9. A child made by a bare fork inherits that end and delays the
    cleaning until it is gone, too; children started as programs do not.

    Args:
        settings: settings of Postgres by name, over the defaults.
        within: where to make the directory, a short path; by default where temporary files go.
    """
    who = account()
    places = (within, Path(tempfile.gettempdir()), Path("/tmp"))  # noqa: S108  # mkdtemp makes it private
    base = next((place for place in places if place and _takes_a_server(place, who)), None)
    directory = Path(tempfile.mkdtemp(prefix="saga-", dir=base)).resolve()
    directory.chmod(0o711)  # the server's account must pass through; it can neither list nor write
    watchdog = subprocess.Popen(
        [sys.executable, "-P", "-m", "saga.dev.watchdog", str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C in a terminal reaches the whole group of the foreground, and must not reach it
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},  # noqa: PTH109
    )
    try:
        yield start(directory, settings=settings)
    finally:
        assert watchdog.stdin is not None
        watchdog.stdin.close()
        if watchdog.wait() != 0:  # it could not even start, or somebody killed it
            clean(directory)


def _takes_a_server(place: Path, who: Account) -> bool:
    """Whether a directory in the place is within the server's reach, and its socket's path within the kernel's."""
    return len(os.fsencode(place.resolve())) <= LONGEST_BASE and who.can_enter(place.resolve())


def _home(directory: Path, who: Account, programs: Path) -> Path:
    """Where the data of DIR lives. A DIR without a record is new, whatever an earlier DIR of that name left."""
    home = recorded_home(directory)
    if home is not None:
        if home != directory and not home.exists():
            raise EmbeddedError(
                f"the data of {directory} was in {home} and is gone: remove {directory} to begin with an empty database"
            )
        return home
    home = choose_home(directory, who)
    if home == short_home(directory) and (home / "data").exists():
        cluster.end(home / "data", who, programs, "immediate")
        shutil.rmtree(home / "data")
    return home


@contextlib.contextmanager
def _locked(directory: Path) -> Generator[None]:
    """Holds DIR for one process at a time. The kernel lets go of the lock when the process dies."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / "lock").open("a")
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise EmbeddedError(f"{directory} cannot hold a database for this user: {error.strerror}") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] != "stop":  # noqa: PLR2004  # the program, the verb, the directory
        sys.exit("usage: python -m saga.dev.embedded stop DIR")
    stop(Path(sys.argv[2]))

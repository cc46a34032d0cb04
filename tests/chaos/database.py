"""Two Postgres: a primary and a synchronous standby, killed, recovered and promoted.

Rules: a commit is acknowledged when the standby has it on disk, too; the standby follows through a wire, so that it can
be cut off; whoever was promoted gets a new standby, made from itself, and the old primary stays dead. Both live in the
directory of one temporary server, whose watchdog ends whatever is in it.
"""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg

from saga.dev import cluster, processes
from saga.dev.embedded import Server
from saga.dev.places import SOCKET, Account, account, binaries

SETTINGS = {
    "wal_sender_timeout": "4s",
    "wal_receiver_timeout": "4s",
    "wal_retrieve_retry_interval": "200ms",
    "wal_keep_size": "512MB",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "60s",
    "max_connections": "300",
}
STREAMS_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Node:
    """One cluster: the directory of its configuration; `data` is in it."""

    home: Path

    @property
    def data(self) -> Path:
        """The data directory, in which the socket is, too."""
        return self.home / "data"

    @property
    def socket(self) -> str:
        """Where it listens."""
        return str(self.data / SOCKET)

    @property
    def url(self) -> str:
        """To its database, past all wires."""
        return f"postgresql://postgres@/{cluster.DATABASE}?host={quote(str(self.data), safe='')}&port=5432"

    def kill(self) -> None:
        """Kill -9 of the postmaster; returns when the last process is gone."""
        pid = processes.postmaster(self.data)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        cluster.wait_until_gone(self.data)


class Pair:
    """The primary and its standby. Every method blocks: call them in a thread, one at a time."""

    def __init__(self, server: Server, replication_port: int) -> None:
        self.primary = Node(server.data.parent)
        self.standby: Node | None = None
        self._base = server.directory
        self._port = replication_port
        self._who: Account = account()
        self._programs = binaries(self._who)
        self._made = 0

    def replicate(self) -> None:
        """From now on a commit waits for a standby. Set first, so that the copy, once promoted, does the same."""
        self._say("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.make_standby()
        self._say("SELECT pg_reload_conf()")

    def make_standby(self) -> None:
        """A new standby from the primary, streaming."""
        self._made += 1
        node = Node(self._base / f"n{self._made}")
        node.home.mkdir(mode=0o711)
        node.home.chmod(0o711)
        node.data.mkdir(mode=0o700)
        self._who.give(node.data)
        copied = self._who.run(
            [
                *(
                    self._programs / "pg_basebackup",
                    "-D",
                    node.data,
                    "-h",
                    self.primary.data,
                    "-U",
                    "postgres",
                ),
                *("-X", "stream", "-c", "fast", "--no-sync", "-R"),
            ]
        )
        if copied.returncode:
            raise RuntimeError(f"pg_basebackup failed: {copied.stdout}")
        for old in ("postmaster.pid", "server.log"):
            (node.data / old).unlink(missing_ok=True)
        follow = f"host=127.0.0.1 port={self._port} user=postgres sslmode=disable gssencmode=disable connect_timeout=2"
        self._start(node, {**SETTINGS, "primary_conninfo": follow})
        self.standby = node
        processes.wait_until(self._streams, STREAMS_WITHIN_S, "the standby streams")

    def crash(self) -> None:
        """Kill -9 of the primary, and its recovery in place."""
        self.primary.kill()
        self._start(self.primary, {})

    def crash_standby(self) -> None:
        """The same of the standby: commits wait for it meanwhile."""
        assert self.standby is not None
        self.standby.kill()
        self._start(self.standby, {})

    def promote(self) -> None:
        """The primary is dead: the standby takes its place, alone."""
        assert self.standby is not None
        dead, self.primary = self.primary, self.standby
        self.standby = None
        done = self._who.run(
            [self._programs / "pg_ctl", "promote", "-w", "-t", "60", "-D", self.primary.data]
        )
        if done.returncode:
            raise RuntimeError(f"pg_ctl promote failed: {done.stdout}")
        shutil.rmtree(dead.data, ignore_errors=True)

    def terminate_all(self) -> int:
        """End every session of a client; how many."""
        with psycopg.connect(self.primary.url, autocommit=True, connect_timeout=2) as connection:
            row = connection.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            ).fetchone()
        return int(row[0]) if row else 0

    def _streams(self) -> bool:
        with psycopg.connect(self.primary.url, autocommit=True) as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
            ).fetchone()
        return row is not None and row[0] > 0

    def _say(self, statement: str) -> None:
        with psycopg.connect(self.primary.url, autocommit=True) as connection:
            connection.execute(statement.encode())

    def _start(self, node: Node, settings: dict[str, str]) -> None:
        cluster.launch(node.home, self._who, self._programs, settings)

"""Workers as processes that a test starts, kills, pauses, wakes and stops.

Rule: they are tied to this process, and end with it however it ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from examples.checkout.processes import child_environment
from saga.dev.processes import wait_until
from tests.support.repository import ROOT


class CrewMember:
    """One worker process."""

    def __init__(self, log: Path, environment: Mapping[str, str], **options: str | int) -> None:
        self._log = log
        self._paused = False
        environment = child_environment(environment)
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "workers")])
        flags = [part for k, v in options.items() for part in (f"--{k.replace('_', '-')}", str(v))]
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.crew_member", *flags],
                stdin=subprocess.PIPE, stdout=out, stderr=out, env=environment, start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def kill(self) -> None:
        """Kill -9; returns when it is gone."""
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """SIGSTOP; returns when the kernel says that it stands."""
        os.kill(self.pid, signal.SIGSTOP)
        self._paused = True
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOWAIT)

    def wake(self) -> None:
        """SIGCONT."""
        self._paused = False
        os.kill(self.pid, signal.SIGCONT)

    def terminate(self) -> None:
        """SIGTERM; it drains."""
        self._process.terminate()

    def wait_exit(self, within: float = 15.0) -> int:
        """How it ended."""
        wait_until(lambda: self._process.poll() is not None, within, f"the end of worker {self.pid}")
        return int(self._process.returncode)

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def said(self) -> str:
        """Its log so far."""
        return self._log.read_text(errors="replace")

    def dismiss(self) -> None:
        """Ends it, whatever state it is in."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()


class Crew:
    """All workers of one test."""

    def __init__(self, logs: Path, environment: Mapping[str, str]) -> None:
        self._logs = logs
        self._environment = environment
        self._members: list[CrewMember] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for member in self._members:
            member.dismiss()

    def hire(self, **options: str | int) -> CrewMember:
        """Start one more worker. options: app, lease, drain_within, lanes."""
        log = self._logs / f"worker-{len(self._members) + 1}.log"
        self._members.append(CrewMember(log, self._environment, **options))
        return self._members[-1]

    def all_alive_but(self, *gone: CrewMember) -> bool:
        """Whether nobody else has ended by itself."""
        return all(member.alive for member in self._members if member not in gone)

"""The workers of the demo, as processes: started, killed -9, started again, drained at the end."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from saga.demo.example import processes

DRAIN_WITHIN = 10.0


class WorkerProcess:
    """One `saga worker run` as a process, tied to this one, its output in a file."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        """`command`: what follows the word `saga`."""
        self._command = [sys.executable, "-m", "saga.demo.leash", *command]
        self._environment, self._log = processes.child_environment(environment), log
        self._process: subprocess.Popen[bytes] | None = None
        self._killed = False
        self.start()

    @property
    def pid(self) -> int:
        """The process, and its process group."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """A new life: a new incarnation for the engine."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        self._killed = False

    def died(self) -> int | None:
        """Its exit code if it ended by itself, None while it runs, and between a kill and its next life."""
        assert self._process is not None
        return None if self._killed else self._process.poll()

    def last_words(self) -> str:
        """The end of what it said."""
        return self._log.read_text(errors="replace")[-2000:]

    def kill(self) -> None:
        """SIGKILL to it and whatever it has started; returns when it is gone."""
        assert self._process is not None
        self._killed = True
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._reap()

    def ask_to_end(self) -> None:
        """SIGTERM: it drains."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.terminate()

    def end(self) -> None:
        """Waits for the drain, then kills what is left."""
        self.ask_to_end()
        assert self._process is not None
        try:
            self._process.wait(DRAIN_WITHIN)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._reap()

    def _reap(self) -> None:
        assert self._process is not None
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

"""Processes of the shop, started, killed and restarted from here, and tied to this process.

Rules: a child's standard input is a pipe of which we hold the other end, and it ends when that closes, however we die.
Each child leads a process group of its own: a Ctrl-C at the terminal is for us, and we stop our children in order.
"""

import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO

START_WITHIN = 30.0


class DidNotStart(RuntimeError):
    """A process ended, or said nothing, before it was ready; the message has the end of its log."""


def tie_to_parent() -> None:
    """From now on this process, and all of its process group if it leads one, dies when its stdin ends."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="tied-to-parent", daemon=True).start()


def child_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a process of the shop: finds this package, and knows no proxy."""
    root = str(Path(__file__).resolve().parents[len(__name__.split(".")) - 1])
    kept = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    path = os.pathsep.join(p for p in (root, os.environ.get("PYTHONPATH")) if p)
    return {**kept, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **(more or {})}


class ServedProcess:
    """A process that runs `python -m MODULE` with the options of `serving`, started when made and tied to us."""

    def __init__(
        self,
        module: str,
        name: str,
        logs: Path,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._module, self._log, self._arguments = module, logs / f"{name}.log", arguments
        self._environment = child_environment(environment)
        logs.mkdir(parents=True, exist_ok=True)
        self.port = 0
        self._process = self._launch()

    @property
    def url(self) -> str:
        """Where it listens. Stays the same over restarts."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process that runs now, or ran last."""
        return self._process.pid

    def last_words(self) -> str:
        """The end of what it wrote to stderr."""
        return self._log.read_text(errors="replace")[-2000:]

    def kill(self) -> None:
        """SIGKILL, and waits until it is gone: connections are refused from then on."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._reap()

    def stop(self) -> None:
        """SIGTERM, then SIGKILL after 5 seconds. Harmless when it is gone already."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
        self._reap()

    def restart(self) -> None:
        """Starts it again after `kill` or `stop`: same port, same arguments."""
        self.stop()
        self._process = self._launch()

    def _launch(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", self._module, "--port", str(self.port), "--tied", *self._arguments]
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        assert process.stdout is not None
        said = _line_within(process.stdout, START_WITHIN)
        if not said:
            process.kill()
            process.wait()
            raise DidNotStart(f"{self.name} did not start (exit {process.returncode}):\n{self.last_words()}")
        self.port = int(json.loads(said)["port"])
        return process

    def _reap(self) -> None:
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def _line_within(pipe: IO[bytes], seconds: float) -> bytes:
    ready, _, _ = select.select([pipe], [], [], seconds)
    return pipe.readline() if ready else b""

"""The processes of a command: prepared, let go all at once, and ended with it whatever happens.

A process holds the reading end of a pipe from its command: it begins its work at the first byte, and ends when the pipe
does. So none outlives its command, not even one that was killed -9. `python -m benchmarks.peers.processes PROGRAM…` is how
a program that is not ours is tied in the same way.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.peers.rig import Asked, Failed

PREPARED, GO = "prepared and waiting", b"g"
LIMIT_S, PREPARED_S, END_S = 1800.0, 60.0, 5.0
LOOK_EVERY_S, LOOK_OFTEN_S = 0.2, 0.02
LAST_WORDS = 2000


class Child:
    """A process, its output in a file."""

    def __init__(
        self,
        arguments: Sequence[str],
        log: Path,
        descriptors: Sequence[int] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """arguments: what follows `python -m`; descriptors: of ours that it inherits; environment: beside ours."""
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=descriptors,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )

    def said(self) -> str:
        """All that it has said."""
        return self._log.read_text(errors="replace")

    def prepared(self) -> bool:
        """It has said so."""
        return PREPARED in self.said()

    def go(self) -> None:
        """Let it begin."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(GO)
            self._process.stdin.flush()

    def check(self) -> None:
        """It lives.

        Raises:
            Failed: it ended by itself.
        """
        code = self._process.poll()
        if code is not None:
            words = self.said()[-LAST_WORDS:]
            raise Failed(f"a process ended by itself with exit code {code}; its last words:\n{words}")

    def end(self) -> None:
        """Ask, wait, kill it and whatever it started."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@contextlib.contextmanager
def crew(peer: str, asked: Asked, phase: str, count: int) -> Generator[list[Child]]:
    """So many workers of a peer, prepared and waiting; they end with the block."""
    module = f"benchmarks.peers.{peer}"
    command = [module, asked.url, "--worker", phase, "--steps", str(asked.steps)]
    with ExitStack() as stack:
        place = Path(stack.enter_context(TemporaryDirectory(prefix="saga-peer-")))
        children: list[Child] = []
        for number in range(count):
            children.append(Child(command, place / f"worker-{number}.log"))
            stack.callback(children[-1].end)
        wait(lambda: all(child.prepared() for child in children), children, PREPARED_S, LOOK_OFTEN_S)
        yield children


def wait(
    until: Callable[[], bool],
    children: Sequence[Child],
    limit_s: float = LIMIT_S,
    every_s: float = LOOK_EVERY_S,
) -> None:
    """Until it is so.

    Raises:
        Failed: it did not come to be in time, or a process ended.
    """
    deadline = time.monotonic() + limit_s
    while not until():
        for child in children:
            child.check()
        if time.monotonic() > deadline:
            raise Failed(f"not done within {limit_s:g} s")
        time.sleep(every_s)


class Leash:
    """A worker's end of the pipe."""

    def __init__(self) -> None:
        """From now on this process ends with its command."""
        self._begun = threading.Event()
        threading.Thread(target=self._hold, daemon=True).start()

    def wait_to_begin(self) -> None:
        """Say that all is prepared, and return when the command lets go."""
        print(PREPARED, flush=True)
        self._begun.wait()

    def _hold(self) -> None:
        while os.read(sys.stdin.fileno(), 1) == GO:
            self._begun.set()
        os._exit(0)  # a worker that was killed is what each peer is made for


def main() -> int:
    """Run a program that is not ours, until it ends or the pipe does."""
    with subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL) as program:

        def hold() -> None:
            while os.read(sys.stdin.fileno(), 1):
                pass
            program.kill()  # its files go with its command's directory

        threading.Thread(target=hold, daemon=True).start()
        return program.wait()


if __name__ == "__main__":
    sys.exit(main())

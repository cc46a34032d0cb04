"""What a process waits for: on SIGUSR2 it writes the stack of each of its tasks to stderr, and goes on."""

from __future__ import annotations

import asyncio
import signal
import sys


def tell_on_signal() -> None:
    """From now on, in this process. Its loop must run in the main thread."""
    signal.signal(signal.SIGUSR2, _tell)


def _tell(number: int, frame: object) -> None:
    del number, frame
    for task in asyncio.all_tasks():
        sys.stderr.write(f"--- {task.get_name()} {task.get_coro()!r}\n")
        for frame in _frames(task.get_coro()):
            sys.stderr.write(f"    {frame}\n")
    sys.stderr.flush()


def _frames(waiting: object) -> list[str]:
    """From the outermost coroutine to what it awaits in the end; `Task.get_stack` shows the outermost only."""
    found: list[str] = []
    while waiting is not None:
        frame = next(
            (
                f
                for word in ("cr_frame", "ag_frame", "gi_frame")
                if (f := getattr(waiting, word, None)) is not None
            ),
            None,
        )
        if frame is None:
            found.append(repr(waiting))
            return found
        found.append(f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}")
        waiting = next(
            (
                w
                for word in ("cr_await", "ag_await", "gi_yieldfrom")
                if (w := getattr(waiting, word, None)) is not None
            ),
            None,
        )
    return found

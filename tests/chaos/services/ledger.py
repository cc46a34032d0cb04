"""An append-only file of what a service did: one line an effect, an undo, a refusal, or a request that was wrong.

Rules: a line is in the file before anything is answered, and synced before the answer leaves; many lines share one
sync. `at` is CLOCK_MONOTONIC, which all processes of one machine share, so lines of different services have an order.
A line that a crash cut off was never answered, and is dropped when the file is opened again.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any


class Kind(StrEnum):
    """What a line says."""

    EFFECT = "effect"
    UNDO = "undo"
    REFUSED = "refused"
    WRONG = "wrong"
    """A request that no correct caller sends: an undo of what never landed, one key with two requests."""


@dataclass(frozen=True, slots=True)
class Line:
    """One entry. `undoes`: the id of the effect; `digest`: of the request, which one key never changes."""

    at: int
    kind: Kind
    service: str
    saga: str
    action: str
    key: str
    id: str
    undoes: str | None = None
    digest: str = ""
    said: str = ""


def read(path: Path) -> Iterator[Line]:
    """The whole lines of a ledger, oldest first."""
    if not path.exists():
        return
    for text in path.read_bytes().split(b"\n")[:-1]:
        fields: dict[str, Any] = json.loads(text)
        fields["kind"] = Kind(fields["kind"])
        yield Line(**fields)


class Ledger:
    """The ledger of one service, opened for writing."""

    def __init__(self, path: Path) -> None:
        self.lines = list(read(path))
        whole = path.read_bytes().rfind(b"\n") + 1 if path.exists() else 0
        self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
        os.ftruncate(self._file, whole)
        self._synced: asyncio.Future[None] | None = None

    def append(self, line: Line) -> None:
        """Into the file; `sync` before anybody hears of it."""
        os.write(self._file, json.dumps(asdict(line)).encode() + b"\n")
        self.lines.append(line)

    async def sync(self) -> None:
        """Returns when all lines so far are on disk. Whoever comes while a sync runs waits for the next one."""
        running = self._synced
        if running is not None:
            await asyncio.shield(running)
            if self._synced is not None and self._synced is not running:
                await asyncio.shield(self._synced)
                return
        self._synced = asyncio.ensure_future(self._sync())
        await asyncio.shield(self._synced)

    async def _sync(self) -> None:
        await asyncio.to_thread(os.fsync, self._file)


def now() -> int:
    """The order of lines, over all processes of this machine."""
    return time.monotonic_ns()

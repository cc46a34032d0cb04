"""Doors: a step's body asks the test for leave before it sends, so that a test can stop it exactly there.

Rules that hold here: a door is a user's code in a user's step, and nothing in the engine knows of it; an open door
answers at once; a knock is kept with the process that knocked, so that a test sees who called what, and how often.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from dataclasses import dataclass
from typing import Self

PLACE = "SAGA_TEST_DOORS"  # host:port in the environment of a worker; without it nobody is asked


@dataclass(frozen=True, slots=True)
class Knock:
    """One body that came to its door."""

    name: str
    order: str
    attempt: int
    pid: int


async def knock(name: str, order: str, attempt: int) -> None:
    """Ask for leave, and wait for it; called by a step's body before it sends anything."""
    place = os.environ.get(PLACE)
    if place is None:
        return
    host, _, port = place.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(f"{name} {order} {attempt} {os.getpid()}\n".encode())
        await reader.readline()
    finally:
        writer.close()


class Doors:
    """The test's side: closes and opens doors, and sees who knocks."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._changed = threading.Condition()
        self._closed: dict[tuple[str, str], int] = {}
        self._held: dict[tuple[str, str], int] = {}
        self._knocks: list[Knock] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.open_all()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def environment(self) -> dict[str, str]:
        """Where the doors are, for workers."""
        return {PLACE: f"127.0.0.1:{self._listener.getsockname()[1]}"}

    def close(self, name: str, order: str, *, count: int = 1) -> None:
        """The next `count` bodies of this name wait, for one order."""
        with self._changed:
            self._closed[name, order] = count

    def open(self, name: str, order: str) -> None:
        """Everybody who waits there goes on, and nobody waits from now on."""
        with self._changed:
            self._closed.pop((name, order), None)
            self._changed.notify_all()

    def open_all(self) -> None:
        """The same for every door."""
        with self._changed:
            self._closed.clear()
            self._changed.notify_all()

    def wait_held(self, name: str, order: str, *, within: float = 15.0) -> None:
        """Returns when a body waits at its door: its intent is committed, and nothing of it is sent."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._held.get((name, order), 0) > 0, within):
                raise TimeoutError(f"nobody came to the door of {name} for {order} in {within} s")

    def knocks(self, order: str, name: str | None = None) -> list[Knock]:
        """Every body that ran for an order, in the order of their coming."""
        with self._changed:
            return [k for k in self._knocks if k.order == order and name in (None, k.name)]

    def knocks_of(self, pid: int) -> list[Knock]:
        """Every body that ran in a process, in the order of their coming."""
        with self._changed:
            return [k for k in self._knocks if k.pid == pid]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rwb") as stream:
            said = stream.readline()
            if not said:
                return  # it was killed before it could say who it is
            name, order, attempt, pid = said.decode().split()
            self._pass(Knock(name, order, int(attempt), int(pid)))
            try:
                stream.write(b"come in\n")
                stream.flush()
            except OSError:
                return  # whoever knocked is dead

    def _pass(self, who: Knock) -> None:
        door = who.name, who.order
        with self._changed:
            self._knocks.append(who)
            left = self._closed.get(door, 0)
            if left <= 0:
                return
            self._closed[door] = left - 1
            self._held[door] = self._held.get(door, 0) + 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: door not in self._closed)
            self._held[door] -= 1

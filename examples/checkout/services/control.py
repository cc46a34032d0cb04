"""Starting, troubling, holding and reading the services: what tests and the demo use.

    with control.start_all(directory) as services:          # three processes; no seed: no faults but those asked for
        services.environment()                              # {"INVENTORY_URL": …, …} for workers and the shop
        pay = services.payment                              # a ServiceProcess
        pay.fault("charge", Fault.LOSE_REPLY)               # the next charge is booked, and its reply is lost
        pay.fault("charge", Fault.DOWN, count=3, order="o-1")
        pay.close_gate("charge", Point.AFTER)               # the next charge is held, booked and unanswered
        pay.wait_held("charge", Point.AFTER)                # returns when it is there; TimeoutError if it never is
        pay.open_gate("charge", Point.AFTER)
        pay.kill(); pay.restart()                           # connection refused in between; same port, same ledger
        book = pay.book()                                   # everything in its ledger
        book.of("charge", order="o-1")                      # its effects, oldest first

Operations: `reserve`, `release` (inventory), `charge`, `refund` (payment), `mail` (notification), and the probes
`status:reserve`, `status:release`, `status:charge`, `status:refund`. Kinds of effects: `reservation`, `release`,
`charge`, `refund`, `mail`. Calls block for some milliseconds; from async code use `asyncio.to_thread` where it matters.
The processes are tied to this one: they end with it, however it ends.
"""

from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from ..processes import ServedProcess  # noqa: TID252  # the wheel carries this folder under another name
from .book import Book, BookedEffect, BookedRefusal, BookedRequest, read_book
from .faults import Fault
from .gates import Point

__all__ = [
    "Book",
    "BookedEffect",
    "BookedRefusal",
    "BookedRequest",
    "Fault",
    "Point",
    "ServiceProcess",
    "Services",
]

NAMES = ("inventory", "payment", "notification")


class ServiceProcess(ServedProcess):
    """One of the three services as a process, with its admin routes."""

    def __init__(self, name: str, directory: Path, *arguments: str) -> None:
        package = __name__.rpartition(".")[0]
        super().__init__(f"{package}.{name}", name, directory, "--ledger", str(directory), *arguments)
        self._http = httpx.Client(trust_env=False, timeout=30.0)

    def fault(
        self,
        operation: str,
        fault: Fault | str,
        *,
        count: int = 1,
        order: str | None = None,
        code: str = "refused",
        share: float = 0.5,
    ) -> None:
        """The next `count` requests meet this fault. `code`: of a refusal. `share` in [0, 1): of the lateness used."""
        asked = {"operation": operation, "fault": str(fault), "count": count, "order": order}
        self._post("/admin/faults", {**asked, "code": code, "share": share})

    def clear_faults(self) -> None:
        """Forgets the faults that were asked for and have not happened yet."""
        self._http.delete(self.url + "/admin/faults").raise_for_status()

    def close_gate(self, operation: str, point: Point | str = Point.BEFORE, *, count: int = 1) -> None:
        """The next `count` requests are held there until the gate is opened."""
        self._post("/admin/gates/close", {"operation": operation, "point": str(point), "count": count})

    def open_gate(self, operation: str, point: Point | str = Point.BEFORE) -> int:
        """Lets everybody go on who is held there, and holds nobody from now on. Returns how many went."""
        return self._post("/admin/gates/open", {"operation": operation, "point": str(point)})["released"]

    def wait_held(
        self, operation: str, point: Point | str = Point.BEFORE, *, count: int = 1, within: float = 10.0
    ) -> None:
        """Returns when `count` requests are held there; raises `TimeoutError` after `within` seconds."""
        gate = {"operation": operation, "point": str(point), "count": count, "within": within}
        held = self._post("/admin/gates/wait", gate)["held"]
        if held < count:
            raise TimeoutError(
                f"{held} of {count} requests held {point} {operation} of {self.name} in {within} s"
            )

    def held(self, operation: str, point: Point | str = Point.BEFORE) -> int:
        """How many requests are held there now."""
        gate = {"operation": operation, "point": str(point), "count": 0}
        return self._post("/admin/gates/wait", gate)["held"]

    def in_flight(self) -> dict[str, int]:
        """How many requests are being worked on now, by operation; an operation without any is absent."""
        reply = self._http.get(self.url + "/admin/state").raise_for_status()
        answer: dict[str, int] = reply.json()["in_flight"]
        return answer

    def book(self) -> Book:
        """Everything in its ledger."""
        return read_book(self._http.get(self.url + "/admin/ledger").raise_for_status().json())

    def _post(self, path: str, body: Mapping[str, object]) -> dict[str, int]:
        reply = self._http.post(self.url + path, json=dict(body)).raise_for_status()
        answer: dict[str, int] = reply.json()
        return answer


@dataclass(frozen=True, slots=True)
class Services:
    """The three of them."""

    inventory: ServiceProcess
    payment: ServiceProcess
    notification: ServiceProcess

    def all(self) -> tuple[ServiceProcess, ServiceProcess, ServiceProcess]:
        """In the order in which a checkout calls them."""
        return self.inventory, self.payment, self.notification

    def environment(self) -> dict[str, str]:
        """Where they are, as `sagas` and `naive` read it."""
        return {f"{service.name.upper()}_URL": service.url for service in self.all()}


@contextmanager
def start_all(
    directory: Path,
    *,
    seed: int | None = None,
    patience: float = 0.8,
    lateness: float = 1.0,
    work: float = 0.0,
) -> Generator[Services]:
    """The three services with their ledgers in `directory`; stopped at the end. Times in seconds (see `desk.Times`)."""
    options = ["--patience", str(patience), "--lateness", str(lateness), "--work", str(work)]
    if seed is not None:
        options += ["--seed", str(seed)]
    with ExitStack() as stack:
        started: dict[str, ServiceProcess] = {}
        for name in NAMES:
            started[name] = ServiceProcess(name, directory, *options)
            stack.callback(started[name].stop)
        yield Services(**started)

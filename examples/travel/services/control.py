"""Starting the three services of the journey; each is then troubled, held and read like a service of the checkout.

See `examples.checkout.services.control` for what a `ServiceProcess` can do.
"""

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from examples.checkout.processes import ServedProcess
from examples.checkout.services.control import ServiceProcess

MODULES = {
    "airline": "examples.travel.services.airline",
    "hotel": "examples.travel.services.hotel",
    "payment": "examples.checkout.services.payment",
}


class JourneyService(ServiceProcess):
    """One of the three as a process: the machinery of the checkout's, and another module in it."""

    def __init__(self, name: str, directory: Path) -> None:
        ServedProcess.__init__(self, MODULES[name], name, directory, "--ledger", str(directory))
        self._http = httpx.Client(trust_env=False, timeout=30.0)


@dataclass(frozen=True, slots=True)
class Services:
    """The three of them."""

    airline: JourneyService
    hotel: JourneyService
    payment: JourneyService

    def environment(self) -> dict[str, str]:
        """Where they are, as the sagas read it."""
        return {f"{one.name.upper()}_URL": one.url for one in (self.airline, self.hotel, self.payment)}


@contextmanager
def start_all(directory: Path) -> Generator[Services]:
    """The three services with their ledgers in `directory`, started side by side; stopped at the end."""
    with ExitStack() as stack:
        with ThreadPoolExecutor(len(MODULES)) as pool:
            starting = {name: pool.submit(JourneyService, name, directory) for name in MODULES}
        started = {name: one.result() for name, one in starting.items()}
        for one in started.values():
            stack.callback(one.stop)
        yield Services(**started)

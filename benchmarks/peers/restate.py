"""Restate: a journal of each invocation in a server of its own, which calls the handlers over HTTP.

The server and its storage live in a temporary directory; its defaults hold, every write is synced. An invocation that was
sent begins at once, so the handlers wait behind a gate until all are queued: what is measured is from its opening to the
last end, as the server's own table tells it.
"""

from __future__ import annotations

import asyncio
import contextlib
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.peers import rig
from benchmarks.peers.processes import LOOK_OFTEN_S, PREPARED_S, Child, Leash, wait
from benchmarks.peers.rig import AT_ONCE, INPUT, RESULT, Asked, Failed, Figures

try:
    import httpx
    from hypercorn.asyncio import serve as serve_http
    from hypercorn.config import Config
    from restate import Context, Service
    from restate import app as application
except ImportError as missing:
    rig.not_installed("restate", missing)

NAME, SERVICE, HANDLER = "restate", "bench", "steps"
HOST, STREAMS, REQUESTS = "127.0.0.1", 1000, 1_000_000_000
MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
TELL_S, SETTLE_S, REPLY_S = 0.05, 10.0, 60.0
PATIENCE = timedelta(hours=1)
ENDED_WORD = "ended so far: "
ENDED = (
    "SELECT count(*) AS ended, max(completed_at) AS last FROM sys_invocation"
    " WHERE status = 'completed' AND completion_result = 'success'"
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where it answers."""

    ingress: str
    admin: str


def program(directory: Path | None) -> Path:
    """The server that npm has installed.

    Raises:
        Failed: it has not.
    """
    if directory is None:
        raise Failed(
            "Restate needs --server, the directory in which npm has installed @restatedev/restate-server"
        )
    machine = platform.machine().lower()
    package = f"restate-server-{sys.platform}-{MACHINES.get(machine, machine)}"
    found = directory.resolve() / "node_modules" / "@restatedev" / package / "bin" / "restate-server"
    if not found.is_file():
        raise Failed(f"there is no Restate server at {found}")
    return found


@contextlib.contextmanager
def server(binary: Path) -> Generator[tuple[Place, Child]]:
    """One on free ports, all its files in a directory that goes with it."""
    ingress, admin, node = free_ports(3)
    environment = {
        "RESTATE_INGRESS__BIND_ADDRESS": f"{HOST}:{ingress}",
        "RESTATE_ADMIN__BIND_ADDRESS": f"{HOST}:{admin}",
        "RESTATE_BIND_ADDRESS": f"{HOST}:{node}",
        "RESTATE_DISABLE_TELEMETRY": "true",
        "RESTATE_LISTEN_MODE": "tcp",
        "RESTATE_LOG_FILTER": "warn",
    }
    with TemporaryDirectory(prefix="saga-restate-") as directory:
        base = Path(directory)
        arguments = ["benchmarks.peers.processes", str(binary), "--no-logo", "--base-dir", str(base / "data")]
        child = Child(arguments, base / "server.log", environment=environment)
        try:
            place = Place(f"http://{HOST}:{ingress}", f"http://{HOST}:{admin}")
            wait(lambda: healthy(place), [child], PREPARED_S)
            yield place, child
        finally:
            child.end()


def free_ports(count: int) -> list[int]:
    """That nobody listens at now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HOST, 0))
        return [int(one.getsockname()[1]) for one in sockets]


def healthy(place: Place) -> bool:
    """Both doors are open."""
    try:
        return all(
            httpx.get(url).is_success for url in (f"{place.admin}/health", f"{place.ingress}/restate/health")
        )
    except httpx.TransportError:
        return False


@contextlib.contextmanager
def crew(asked: Asked, count: int) -> Generator[tuple[str, list[Child]]]:
    """So many processes that serve the handlers at one socket; the URL of that."""
    with ExitStack() as stack:
        place = Path(stack.enter_context(TemporaryDirectory(prefix="saga-peer-")))
        door = stack.enter_context(socket.create_server((HOST, 0)))
        command = [
            f"benchmarks.peers.{NAME}",
            "-",
            "--worker",
            str(door.fileno()),
            "--steps",
            str(asked.steps),
        ]
        children: list[Child] = []
        for number in range(count):
            children.append(Child(command, place / f"worker-{number}.log", [door.fileno()]))
            stack.callback(children[-1].end)
        wait(lambda: all(child.prepared() for child in children), children, PREPARED_S, LOOK_OFTEN_S)
        yield f"http://{HOST}:{door.getsockname()[1]}", children


class Handlers:
    """What a worker serves: one handler of so many steps, behind a gate."""

    def __init__(self, steps: int) -> None:
        self.gate, self.ended = asyncio.Event(), 0
        self.service = Service(
            SERVICE, inactivity_timeout=PATIENCE
        )  # the server would give up a handler at the gate

        async def work() -> str:
            """Do nothing, at once."""
            return RESULT

        @self.service.handler(HANDLER)
        async def handler(context: Context, text: str) -> str:
            await self.gate.wait()
            for number in range(steps):
                text = await context.run_typed(f"work-{number}", work)
            self.ended += 1
            return text

    async def tell(self) -> None:
        """Say how many have ended, whenever that is more, and for ever."""
        told = 0
        while True:
            if self.ended > told:
                told = self.ended
                rig.say(f"{ENDED_WORD}{told}")
            await asyncio.sleep(TELL_S)


def serve(asked: Asked) -> int:
    """A worker at the socket that it inherits, until its command ends."""
    leash = Leash()

    async def served() -> None:
        handlers, config = Handlers(asked.steps), Config()
        config.bind = [f"fd://{asked.worker}"]
        config.h2_max_concurrent_streams, config.keep_alive_max_requests = STREAMS, REQUESTS
        async with asyncio.TaskGroup() as group:
            group.create_task(serve_http(application([handlers.service]), config))
            group.create_task(handlers.tell())
            await asyncio.to_thread(leash.wait_to_begin)
            handlers.gate.set()

    rig.run(served())
    return 0


def ended(child: Child) -> int:
    """How many a worker says that it has ended; one that is tried again counts again."""
    said = [line for line in child.said().splitlines() if line.startswith(ENDED_WORD)]
    return int(said[-1].removeprefix(ENDED_WORD)) if said else 0


def in_table(place: Place) -> tuple[int, float]:
    """How many have ended well by the server's own account, and when the last did."""
    answer = httpx.post(
        f"{place.admin}/query",
        json={"query": ENDED},
        headers={"accept": "application/json"},
        timeout=REPLY_S,
    )
    (row,) = answer.raise_for_status().json()["rows"]
    last = datetime.fromisoformat(row["last"]).timestamp() if row["last"] else 0.0
    return int(row["ended"]), last


async def send(place: Place, count: int) -> float:
    """Queue so many; how many a second."""
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    async with httpx.AsyncClient(base_url=place.ingress, limits=limits, timeout=REPLY_S) as client:

        async def one() -> None:
            (await client.post(f"/{SERVICE}/{HANDLER}/send", json=INPUT)).raise_for_status()

        return await rig.rate(count - 1, one)  # it sends one more, to warm up


async def call(place: Place, count: int) -> Sequence[float]:
    """One after the other, each until its result is there."""
    async with httpx.AsyncClient(base_url=place.ingress, timeout=REPLY_S) as client:

        async def one() -> None:
            (await client.post(f"/{SERVICE}/{HANDLER}", json=INPUT)).raise_for_status()

        return await rig.one_by_one(count, one)


def drained(place: Place, asked: Asked, children: Sequence[Child], workers: Sequence[Child]) -> float:
    """Open the gate; seconds until the last has ended.

    Raises:
        Failed: not all of them did.
    """
    rig.frame("begin")
    began = time.time()
    for worker in workers:
        worker.go()
    wait(lambda: sum(ended(worker) for worker in workers) >= asked.sagas, children)
    with contextlib.suppress(Failed):
        wait(lambda: in_table(place)[0] >= asked.sagas, children, SETTLE_S)
    rig.frame("end")
    found, last = in_table(place)
    if found != asked.sagas:
        raise Failed(f"{found} of {asked.sagas} workflows completed")
    return last - began


def measure(asked: Asked) -> Figures:
    """Everything, once."""
    if asked.history:
        raise Failed("there is no honest way to give Restate a history")
    count = asked.sagas
    with server(program(asked.server)) as (place, child), crew(asked, asked.processes) as (url, workers):
        httpx.post(f"{place.admin}/deployments", json={"uri": url}, timeout=PREPARED_S).raise_for_status()
        sent = rig.run(send(place, count))
        seconds = drained(place, asked, [child, *workers], workers)
        taken = rig.run(call(place, asked.latencies))
    p50, p99 = rig.percentiles(taken)
    return Figures(
        peer=NAME,
        version=released(program(asked.server)),
        settings="server defaults and its own storage, hypercorn over HTTP/2 with uvloop, single sends through ingress",
        unit="workflows",
        count=count,
        per_s=count / seconds,
        p50_ms=p50,
        p99_ms=p99,
        starts_per_s=sent,
        bulk_starts_per_s=None,
    )


def released(binary: Path) -> str:
    """The server's version."""
    said = subprocess.run([binary, "--version"], check=True, capture_output=True, text=True).stdout
    return said.split()[-1]


def main() -> int:
    """A worker, or the measurement."""
    asked = rig.asked(NAME)
    return serve(asked) if asked.worker else rig.answer(lambda: measure(asked))


if __name__ == "__main__":
    sys.exit(main())

"""One run: set the stage, let the schedule loose, wait until all is over, and audit.

Rules: nothing is judged before the services are at rest and every late watch of a few seconds has ended; the work
directory is removed when the run is green, and kept and named when it is not.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg

from saga import Engine
from tests.chaos import books, report
from tests.chaos.faults import Faults
from tests.chaos.judge import judge
from tests.chaos.pace import NotInTime, until
from tests.chaos.plan import There, plan
from tests.chaos.sagas import SAGAS
from tests.chaos.sound import unsound
from tests.chaos.stage import HOSTS, Stage, stage, start_customers, tell

END_WITHIN_S = 60.0
REST_WITHIN_S = 90.0  # a watch whose answers were lost twice asks again after ten seconds, and then after twenty, and forty
DRAIN_WITHIN_S = 20.0
OPEN = "SELECT count(*) FROM saga.saga WHERE status IN ('ready', 'running', 'asleep')"
SESSIONS = """
SELECT pid, pg_blocking_pids(pid), state, wait_event_type, wait_event, now() - xact_start, application_name, query
FROM pg_stat_activity WHERE backend_type = 'client backend' ORDER BY xact_start
"""
WATCHED = "SELECT count(*) FROM saga.watch WHERE until < now() + interval '1 minute'"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says."""

    seconds: float
    seed: int
    workers: int
    rate: float


def run(asked: Asked) -> int:
    """The exit code: 0 when nothing is wrong."""
    place = Path(tempfile.mkdtemp(prefix="saga-chaos-"))
    wrong = asyncio.run(_run(asked, place))
    if wrong:
        report.say(f"kept: {place}")
    else:
        shutil.rmtree(place)
    return 1 if wrong else 0


async def _run(asked: Asked, place: Path) -> int:
    async with stage(place, asked.seed, asked.workers) as here:
        faults = Faults(here, place / "schedule.log")
        log = place / "customers.jsonl"
        customers = start_customers(here, asked.rate, asked.seed, log)
        began = time.monotonic()
        try:
            schedule = plan(asked.seconds, asked.seed, There(asked.workers, HOSTS, [*here.wires]))
            await faults.run(schedule)
            tell(customers, "enough")
            seconds = time.monotonic() - began
            slowest, late = await _end(here, customers)
        finally:
            customers.kill()
            customers.wait()
        wrong = {"": [*late, *faults.failed, *here.gone, *await _rest(here)]}
        url = here.pair.primary.url
        async with Engine(url, sagas=list(SAGAS.values())) as engine:
            wrong[""] += await unsound(engine)
        found = _books(here, log)
        for key, sentences in judge(found).items():
            wrong[key] = [*wrong.get(key, []), *sentences]
        wrong = {key: sentences for key, sentences in wrong.items() if sentences}
        violations = sum(map(len, wrong.values()))
        report.show(found, wrong, url)
        on_wires = sum((Counter(wire.counts) for wire in here.wires.values()), Counter[str]())
        figures = report.Run(seconds, asked.seed, faults.counts, on_wires, slowest)
        report.say(report.line(figures, found, violations))
        return violations


def _books(here: Stage, log: Path) -> books.Books:
    wanted, broke = books.customers(log)
    lines = books.ledgers(here.place, here.warehouse_url)
    return books.Books(lines, wanted, books.sagas(here.pair.primary.url), broke)


async def _end(here: Stage, customers: subprocess.Popen[bytes]) -> tuple[float, list[str]]:
    """How long it took until every saga had ended or was parked, and its customer knew; what did not."""
    for wire in here.wires.values():
        wire.calm()
    for service in here.services.values():
        await _get(service.url, "/calm")

    async def over() -> bool:
        here.tend()
        return await _count(here, OPEN) == 0 and customers.poll() is not None

    try:
        return await until(over, END_WITHIN_S, "the end of every saga"), []
    except NotInTime as error:
        for worker in here.crew:
            worker.tell()
        (here.place / "sessions.log").write_text("\n".join(map(str, await _rows(here, SESSIONS))))
        return END_WITHIN_S, [f"{error}; {await _count(here, OPEN)} are open"]


async def _rest(here: Stage) -> list[str]:
    """The services at rest, no watch left that ends soon, and the workers gone; what did not come to that."""

    async def at_rest() -> bool:
        busy = [(await _get(service.url, "/busy"))["busy"] for service in here.services.values()]
        return not any(busy) and await _count(here, WATCHED) == 0

    found: list[str] = []
    try:
        await until(at_rest, REST_WITHIN_S, "services at rest, and the end of every short watch")
    except NotInTime as error:
        found.append(str(error))
    for worker in here.crew:
        worker.ask_to_end()

    async def drained() -> bool:
        return all(worker.died() is not None for worker in here.crew)

    try:
        await until(drained, DRAIN_WITHIN_S, "every worker drains")
    except NotInTime as error:
        found.append(str(error))
    for number, worker in enumerate(here.crew):
        found += worker.complaint(number)
    return found


async def _get(url: str, path: str) -> dict[str, int]:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer: dict[str, int] = (await client.get(url + path)).json()
        return answer


async def _count(here: Stage, query: str) -> int:
    ((count,),) = await _rows(here, query)
    return int(count)


async def _rows(here: Stage, query: str) -> list[tuple[Any, ...]]:
    async with await psycopg.AsyncConnection.connect(here.pair.primary.url) as connection:
        return await (await connection.execute(query.encode())).fetchall()

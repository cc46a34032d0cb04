"""What happens beside the happy path of an empty database: a long history, sleepers, memory, a worker that is killed, lost replies.

Each takes a fresh, migrated database and gives figures by name; times in seconds or milliseconds, as the name says.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import statistics
import time
from collections.abc import Callable
from uuid import UUID

from benchmarks import copies, server
from benchmarks.crew import cpu_seconds, crew, resident_bytes
from benchmarks.engine import Load, fill, throughput
from benchmarks.shop import losing, waiting
from saga.cli.main import main
from saga.core.model import SagaStatus

LEASE_S = 3
LOOK_EVERY_S = 0.02
LIMIT_S = 120.0
IDLE_S = 20.0
SETTLES_S = 3.0
MANY = 10_000
OWNER = f"SELECT owner FROM saga.saga WHERE status = '{SagaStatus.RUNNING}' LIMIT 1"
OWNED = "SELECT count(*) FROM saga.saga WHERE owner = '{dead}'"
ROUNDS = 5

Figures = dict[str, float | None]


def lost_replies(url: str, sagas: int) -> Figures:
    """One reply in twenty is lost, and its outcome asked for."""
    found = throughput(url, Load(sagas, definition=losing))
    return {"with_lost_replies_per_s": found.sagas_per_s}


def history(url: str, sagas: int, finished: int) -> Figures:
    """So many finished behind it: throughput, and how long an operator waits."""
    copies.finished(url, finished)
    looks = {f"{name}_ms": _looked(url, *words) for name, words in _looks(url).items()}
    return {"with_history_per_s": throughput(url, Load(sagas)).sagas_per_s, **looks}


def _looks(url: str) -> dict[str, tuple[str, ...]]:
    ((one,),) = server.rows(url, "SELECT id::text FROM saga.saga WHERE key = 'finished-1'")
    return {"stuck": ("stuck",), "list": ("list",), "show": ("show", str(one))}


def _looked(url: str, *words: str) -> float:
    """The command as it runs, without the start of its interpreter; the median of a few."""
    taken: list[float] = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            main([*words, "--database", url])
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def sleepers(url: str, asleep: int) -> Figures:
    """What a worker costs that has nothing to do, with nobody asleep, and with so many."""
    alone = _idle(url)
    copies.asleep(url, asleep)
    beside = _idle(url)
    return {
        "idle_cpu_share": alone[0],
        "idle_cpu_share_with_sleepers": beside[0],
        "bytes_a_sleeper": (beside[1] - alone[1]) / asleep,
    }


def _idle(url: str) -> tuple[float | None, float]:
    """The share of one core, and bytes in memory."""
    with crew(url) as (worker,):
        _until(lambda: _count(url, "SELECT count(*) FROM saga.worker") > 0)
        time.sleep(SETTLES_S)
        before, began = cpu_seconds(worker.pid), time.perf_counter()
        time.sleep(IDLE_S)
        after, passed = cpu_seconds(worker.pid), time.perf_counter() - began
        return (None if before is None or after is None else (after - before) / passed), resident_bytes(
            worker.pid
        )


def takeover(url: str, many: int = MANY) -> Figures:
    """A worker that holds many sagas is killed, beside another that holds none."""
    options = ("--concurrency", str(many), "--lease", f"{LEASE_S}s")
    with crew(url, *options) as (first,):
        _until(lambda: _count(url, "SELECT count(*) FROM saga.worker") > 0)
        time.sleep(SETTLES_S)
        idle = resident_bytes(first.pid)
        asyncio.run(fill(url, waiting, many))
        _until(lambda: _holds(url, None) == many)
        time.sleep(SETTLES_S)
        full = resident_bytes(first.pid)
        ((dead,),) = server.rows(url, OWNER)
        with crew(url, *options):
            _until(lambda: _count(url, "SELECT count(DISTINCT id) FROM saga.worker") > 1)
            time.sleep(SETTLES_S)
            first.kill()
            began = time.perf_counter()
            _until(lambda: _count(url, OWNED.format(dead=dead)) == 0)
            freed = time.perf_counter()
            _until(lambda: _holds(url, dead) > 0)
            moved = time.perf_counter()
            _until(lambda: _holds(url, dead) == many)
            ended = time.perf_counter()
    return {
        "bytes_a_saga_in_motion": (full - idle) / many,
        "takeover_freed_beyond_lease_s": freed - began - LEASE_S,
        "takeover_beyond_lease_s": moved - began - LEASE_S,
        "takeover_all_s": ended - moved,
    }


def _holds(url: str, but: UUID | None) -> int:
    """How many sagas have sent something under the claim of whoever runs them now, who is not this one."""
    return _count(
        url,
        "SELECT count(*) FROM saga.saga s JOIN saga.effect e ON e.saga_id = s.id AND e.worker = s.owner"
        f" WHERE s.status = '{SagaStatus.RUNNING}'" + ("" if but is None else f" AND s.owner <> '{but}'"),
    )


def _count(url: str, query: str) -> int:
    return int(server.rows(url, query)[0][0])


def _until(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not met():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing came of it within {LIMIT_S:g} s")
        time.sleep(LOOK_EVERY_S)

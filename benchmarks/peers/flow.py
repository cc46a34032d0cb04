"""The one procedure for every peer that stores in Postgres: the same order, the same clock, the same checks.

All work is queued before; a throughput is read off the peer's own tables, from the first begun step to the last end, by
the clock that wrote them.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from benchmarks.peers import database, processes, rig
from benchmarks.peers.rig import Asked, Failed, Figures

REAL = 20
"""So many workflows are run to be copied as a history."""
WITH_LOAD, ONE_BY_ONE = "load", "one"
STARTS_SHARE = 4


@dataclass(frozen=True, slots=True)
class Peer:
    """What the procedure needs of one. `since` is a time of the database's clock.

    install: its tables · fill: queue so many units by the fastest means · open: a query, cheap enough to be asked all the
    time, whether any has not ended · finished: a query, how many of those since have · span: a query, the seconds from the first
    begun step to the last end of those · copy: its finished rows so many times more · latencies: in ms, with workers of its own · starts: single
    ones a second, from one client.
    """

    name: str
    package: str
    unit: str
    settings: str
    install: Callable[[str], None]
    fill: Callable[[Asked, int], None]
    open: str
    finished: str
    span: str
    copy: Callable[[str, int], None]
    latencies: Callable[[Asked], Sequence[float]]
    starts: Callable[[Asked, int], float]


def main(peer: Peer, serve: Callable[[Asked], int]) -> int:
    """A worker, or the measurement; the exit code."""
    asked = rig.asked(peer.name)
    return serve(asked) if asked.worker else rig.answer(lambda: measure(peer, asked))


def measure(peer: Peer, asked: Asked) -> Figures:
    """Everything, once.

    Raises:
        Failed: not all came to their end, or the database is not empty.
    """
    database.check(asked.url)
    peer.install(asked.url)
    count = units(peer, asked.sagas, asked.steps)
    if asked.history:
        _history(peer, asked)
    since, began = database.now(asked.url), time.perf_counter()
    peer.fill(asked, count)
    filled = time.perf_counter() - began
    database.run(asked.url, "VACUUM (ANALYZE)")
    _drain(peer, asked, count, since, asked.processes, marked=True)
    per_s = count / float(database.rows(asked.url, peer.span, since)[0][0])
    taken = peer.latencies(asked) if asked.latencies else []
    starts = peer.starts(asked, max(1, count // STARTS_SHARE))
    p50, p99 = rig.percentiles(taken)
    return Figures(
        peer=peer.name,
        version=rig.version(peer.package),
        settings=peer.settings,
        unit=peer.unit,
        count=count,
        per_s=per_s,
        p50_ms=p50,
        p99_ms=p99,
        starts_per_s=starts,
        bulk_starts_per_s=count / filled,
    )


@contextlib.contextmanager
def one_worker(peer: Peer, asked: Asked) -> Generator[None]:
    """In a process of its own, at work."""
    with processes.crew(peer.name, asked, ONE_BY_ONE, 1) as children:
        for child in children:
            child.go()
        yield


def units(peer: Peer, sagas: int, steps: int) -> int:
    """A job is one step."""
    return sagas * steps if peer.unit == "jobs" else sagas


def _history(peer: Peer, asked: Asked) -> None:
    real, since = units(peer, REAL, asked.steps), database.now(asked.url)
    peer.fill(asked, real)
    _drain(peer, asked, real, since, 1, marked=False)
    times = -(-asked.history // REAL) - 1
    if times > 0:
        peer.copy(asked.url, times)


def _drain(peer: Peer, asked: Asked, count: int, since: str, workers: int, *, marked: bool) -> None:
    with processes.crew(peer.name, asked, WITH_LOAD, workers) as children:
        if marked:
            rig.frame("begin")
        for child in children:
            child.go()
        with database.asking(asked.url, peer.open) as ask:
            processes.wait(lambda: not ask(), children)
    if marked:
        rig.frame("end")
    finished = int(database.rows(asked.url, peer.finished, since)[0][0])
    if finished != count:
        raise Failed(f"{finished} of {count} {peer.unit} completed")

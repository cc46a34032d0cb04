"""`python -m benchmarks.wal`: which records a saga of three steps leaves in the write-ahead log, and of which table or index."""

from __future__ import annotations

import argparse
import asyncio
import re
import subprocess
from collections import Counter
from pathlib import Path

from benchmarks import server
from benchmarks.engine import CONCURRENCY
from benchmarks.shop import INPUT, SAGAS
from saga import Engine
from saga.dev import places
from saga_worker import Worker

WHERE = "SELECT pg_current_wal_insert_lsn()::text"
FILES = "SELECT pg_relation_filenode(oid)::text, relname FROM pg_class WHERE pg_relation_filenode(oid) IS NOT NULL"
RECORD = re.compile(r"rmgr: (\S+)\s+len \(rec/tot\):\s*\d+/\s*(\d+), .*?desc: (\S+)(?:.*?rel \d+/\d+/(\d+))?")
SHOWN = 30


async def _run(url: str, sagas: int) -> tuple[str, str]:
    """From where to where the log was written while one worker carried all of them to their ends."""
    definition = SAGAS[3]
    async with Engine(url, sagas=[definition]) as engine:
        handles = await engine.start_many(definition, [(f"{n:06d}", INPUT) for n in range(sagas)])
        ((first,),) = server.rows(url, WHERE)
        async with Worker(engine, concurrency=CONCURRENCY):
            for handle in handles:
                await handle.result("120s")
        ((last,),) = server.rows(url, WHERE)
    return str(first), str(last)


def _records(url: str, first: str, last: str) -> str:
    """As the server's own tool prints them."""
    ((directory,),) = server.rows(url, "SHOW data_directory")
    server.rows(url, "SELECT pg_switch_wal()")
    tool = places.binaries(places.account()) / "pg_waldump"
    command = [str(tool), "-p", str(Path(directory) / "pg_wal"), "-s", first, "-e", last]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main() -> None:
    """A table, the largest first."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wal", description=__doc__)
    parser.add_argument("--sagas", type=int, default=4_000)
    sagas = parser.parse_args().sagas
    with server.server() as started:
        url = server.fresh(started.url, "engine", migrated=True)
        first, last = asyncio.run(_run(url, sagas))
        names = {str(node): str(name) for node, name in server.rows(url, FILES)}
        records = _records(url, first, last)
    size: Counter[tuple[str, str]] = Counter()
    count: Counter[tuple[str, str]] = Counter()
    for manager, total, kind, node in RECORD.findall(records):
        what = (f"{manager} {kind}", names.get(node, ""))
        size[what] += int(total)
        count[what] += 1
    print(f"{'bytes a saga':>12}  {'records':>8}")
    for (kind, relation), total in size.most_common(SHOWN):
        print(f"{total / sagas:12.1f}  {count[kind, relation] / sagas:8.2f}  {kind} {relation}")
    print(f"{sum(size.values()) / sagas:12.1f}  {sum(count.values()) / sagas:8.2f}  all")


if __name__ == "__main__":
    main()

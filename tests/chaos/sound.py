"""Whether the engine's own tables are sound in themselves: no orphans, an unbroken audit, verdicts that come out again."""

from __future__ import annotations

from saga import Engine
from saga.store import audit
from saga.verify import verify

ORPHANS = {
    f"rows of saga.{table} without a saga": f"SELECT count(*) FROM saga.{table} t LEFT JOIN saga.saga s"
    " ON s.id = t.saga_id WHERE s.id IS NULL"
    for table in ("effect", "evidence", "watch", "request")
}
RESTS = {
    **ORPHANS,
    "sagas whose owner is gone": "SELECT count(*) FROM saga.saga s WHERE s.owner IS NOT NULL"
    " AND NOT EXISTS (SELECT FROM saga.worker w WHERE w.id = s.owner)",
    "effects of ended sagas that are not settled": "SELECT count(*) FROM saga.effect e JOIN saga.saga s"
    " ON s.id = e.saga_id WHERE s.finished_at IS NOT NULL AND e.status IN ('sent', 'doubt', 'idle')",
    "workers that left a row": "SELECT count(*) FROM saga.worker",
}


async def unsound(engine: Engine) -> list[str]:
    """What is wrong, as sentences. For a database at which nobody works any more."""
    found: list[str] = []
    async with engine.connection() as connection:
        for what, query in RESTS.items():
            row = await (await connection.execute(query.encode())).fetchone()
            if row is not None and row[0]:
                found.append(f"{row[0]} {what}")
        broken = audit.broken_at(await audit.trail(connection, engine.schema))
    if broken is not None:
        found.append(f"the audit is broken at entry {broken}")
    verified = await verify(engine)
    found += [f"saga db verify: {difference}" for difference in verified.differences]
    return found

"""The lease: registration, the reaper, orphans, sleepers."""

from __future__ import annotations

from saga.store import leases as sql
from saga.testing.store.messages import Course, Result, Tag, Values, returned, selected, written
from saga.testing.store.registry import models
from saga.testing.store.transactions import Found, Transaction
from saga.testing.store.values import as_json


def _lanes(t: Transaction, worker: object) -> list[Found]:
    """A worker's rows, in the order of their lanes."""
    found = [(row, v) for row, v in t.all(t.tables.worker) if v["id"] == worker]
    return sorted(found, key=lambda one: one[1]["lane"])


def _silent(t: Transaction, v: Values) -> bool:
    return bool(v["beat"] < t.now - v["lease"])


@models(sql.REGISTER, "b2c75e39")
def register(t: Transaction, p: Values) -> Course:
    """One row a lane, and none that is there already."""
    count = 0
    for lane in range(p["lanes"]):
        row = {
            "id": p["id"], "lane": lane, "host": p["host"], "pid": p["pid"], "serves": as_json(p["serves"]),
            "state": "working", "lease": p["lease"], "batch": 0, "started_at": t.now, "beat": t.now,
        }  # fmt: skip
        count += yield from t.insert_or_not(t.tables.worker, row)
    return written(Tag.INSERT, count)


@models(sql.LEAVE, "427d4946")
def leave(t: Transaction, p: Values) -> Course:
    """All its lanes."""
    locked = yield from t.lock(_lanes(t, p["id"]))
    for row, _ in locked:
        t.delete(row)
    return written(Tag.DELETE, len(locked))


@models(sql.SILENT, "01641044")
def silent(t: Transaction, _: Values) -> Result:
    """Workers with a lane that has not beaten."""
    found = {v["id"] for _, v in t.all(t.tables.worker) if _silent(t, v)}
    return selected([(worker,) for worker in sorted(found)])


@models(sql.LOCK_WORKER, "e4497e14")
def lock_worker(t: Transaction, p: Values) -> Course:
    """Looked at again behind each lock: a beat that came meanwhile counts."""
    locked = yield from t.lock(_lanes(t, p["id"]))
    return selected([(v["lane"], _silent(t, v)) for _, v in locked])


def _orphaned(t: Transaction) -> list[Found]:
    """Sagas that run under an owner without a row."""
    alive = {v["id"] for _, v in t.all(t.tables.worker)}
    running = t.tables.saga.running
    return [
        (row, v)
        for owner in running
        if owner not in alive
        for row in running[owner]
        if (v := t.sees(row)) is not None and v["status"] == "running" and v["owner"] == owner
    ]


@models(sql.ORPHANS, "154da15b")
def orphans(t: Transaction, p: Values) -> Course:
    """The dead are listed first; behind the lock, only what the saga's own row says is asked anew."""
    found = _orphaned(t)
    owners = {v["owner"] for _, v in found}
    locked = yield from t.lock_free(
        found, lambda v: v["status"] == "running" and v["owner"] in owners, p["limit"]
    )
    for row, v in locked:
        free = {"status": "ready", "owner": None, "lane": None, "wake_at": min(v["wake_at"], t.now)}
        t.write(row, {**v, **free, "updated_at": t.now})
    return returned(Tag.UPDATE, [(v["id"],) for _, v in locked])


@models(sql.DUE, "65513d47")
def due(t: Transaction, p: Values) -> Course:
    """The longest due first."""
    now = t.now
    asleep = ((row, v) for row, v in t.tables.saga.asleep.due(now) if t.sees(row) is v)
    locked = yield from t.lock_free(
        asleep, lambda v: v["status"] == "asleep" and v["wake_at"] <= now, p["limit"]
    )
    for row, v in locked:
        t.write(row, {**v, "status": "ready", "updated_at": now})
    return returned(Tag.UPDATE, [(v["id"],) for _, v in locked])


@models(sql.LOOK, "bf023209")
def look(t: Transaction, p: Values) -> Result:
    """Until the first sleeper is due, and what else there is to do."""
    asleep = (v["wake_at"] - t.now for row, v in t.tables.saga.asleep.due(None) if t.sees(row) is v)
    asked = any(v["taken_at"] is None and v["expires_at"] > t.now for _, v in t.all(t.tables.request))
    watched = any(t.sees(row) is v for row, v in t.tables.watch.next.due(t.now))
    silent = p["reap"] and any(_silent(t, v) for _, v in t.all(t.tables.worker))
    return selected(
        [(next(asleep, None), asked, watched, silent, p["reap"] and bool(_orphaned(t)),
         bool(t.tables.service.rows))]
    )  # fmt: skip

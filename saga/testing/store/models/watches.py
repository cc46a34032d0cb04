"""Late watches, taken when they are due."""

from __future__ import annotations

from datetime import timedelta

from saga.store import watches as sql
from saga.testing.store.messages import Course, Line, Tag, Values, returned, written
from saga.testing.store.registry import models
from saga.testing.store.transactions import Transaction

_LIMIT = 20
_FIRST, _LONGEST, _DOUBLINGS = timedelta(seconds=10), timedelta(hours=1), 12


@models(sql.TAKE, "30b13eff")
def take_watches(t: Transaction, p: Values) -> Course:
    """The longest due first, of sagas that are served; the pause until the next probe doubles."""
    served = set(zip(p["names"], p["versions"], strict=True))
    sagas: dict[object, Values] = {}

    def is_served(v: Values) -> bool:
        s = t.find(t.tables.saga, v["saga_id"])
        if s is not None:
            sagas[v["saga_id"]] = s
        return s is not None and (s["name"], s["version"]) in served

    due = t.tables.watch.next.due(t.now)
    found = ((row, v) for row, v in due if t.sees(row) is v and is_served(v))
    locked = yield from t.lock_free(found, lambda v: v["next_at"] <= t.now, _LIMIT)
    lines: list[Line] = []
    for row, v in locked:
        pause = min(_FIRST * 2 ** min(v["asked"], _DOUBLINGS), _LONGEST)
        t.write(row, {**v, "asked": v["asked"] + 1, "next_at": t.now + pause})
        s = sagas[v["saga_id"]]
        lines.append((v["saga_id"], v["step"], v["direction"], s["name"], s["version"], v["until"] <= t.now))
    return returned(Tag.UPDATE, lines)


@models(sql.DROP, "da266438")
def drop_watch(t: Transaction, p: Values) -> Course:
    """One watch."""
    locked = yield from t.lock(t.under(t.tables.watch, (p["saga"], p["step"], p["direction"])))
    for row, _ in locked:
        t.delete(row)
    return written(Tag.DELETE, len(locked))

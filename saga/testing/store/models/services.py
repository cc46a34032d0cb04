"""How services stand, and the sleepers that one lets in."""

from __future__ import annotations

from operator import itemgetter

from saga.store import services as sql
from saga.testing.store.messages import Course, Line, Result, Tag, Values, returned, selected, written
from saga.testing.store.registry import models
from saga.testing.store.transactions import Transaction

_CIRCUIT = ("state", "turn", "since", "reason", "cool_down", "next_at", "wave", "taken", "passed")
_HOLD = ("held_by", "held_because", "held_at")
_ROW = itemgetter("name", *_CIRCUIT, *_HOLD)


def _line(t: Transaction, v: Values) -> Line:
    """The row, the time, and whether anybody sleeps until it lets them in."""
    waits = f"service {v['name']}"
    asleep = (saga for row, saga in t.tables.saga.asleep.due(None) if t.sees(row) is saga)
    return (*_ROW(v), t.now, any(saga["waiting_for"] == waits for saga in asleep))


@models(sql.ALL, "2dabde91")
def service_all(t: Transaction, _: Values) -> Result:
    """By name."""
    found = sorted((v for _, v in t.all(t.tables.service)), key=itemgetter("name"))
    return selected([_line(t, v) for v in found])


@models(sql.LOCK, "a27672f9")
def service_lock(t: Transaction, p: Values) -> Course:
    """One, as it is under the lock; the sleepers are those of the statement's own moment."""
    found = t.under(t.tables.service, p["name"])
    waiting = [_line(t, v)[-1] for _, v in found]
    locked = yield from t.lock(found)
    return selected([(*_line(t, v)[:-1], *waiting) for _, v in locked])


@models(sql.ADD, "c608de76")
def service_add(t: Transaction, p: Values) -> Course:
    """Closed, and never written before."""
    row = {
        "name": p["name"], "state": "closed", "turn": 0, "since": None, "reason": "", "cool_down": p["cool_down"],
        "next_at": None, "wave": 0, "taken": 0, "passed": 0, "held_by": None, "held_because": None, "held_at": None,
    }  # fmt: skip
    made = yield from t.insert_or_not(t.tables.service, row)
    return written(Tag.INSERT, int(made))


@models(sql.PUT, "ac5e6444")
def service_put(t: Transaction, p: Values) -> Course:
    """Everything but its name."""
    new = {column: p[column] for column in (*_CIRCUIT, *_HOLD)}
    found = t.under(t.tables.service, p["name"])
    made = yield from t.change(found, lambda _: True, lambda v: {**v, **new})
    return written(Tag.UPDATE, len(made))


@models(sql.RELEASE, "cc29775c")
def service_release(t: Transaction, p: Values) -> Course:
    """Those first that look again first."""
    now = t.now

    def fits(v: Values) -> bool:
        return bool(v["status"] == "asleep" and v["waiting_for"] == p["waiting_for"])

    asleep = ((row, v) for row, v in t.tables.saga.asleep.due(None) if t.sees(row) is v and fits(v))
    locked = yield from t.lock_free(asleep, fits, p["limit"])
    for row, v in locked:
        t.write(row, {**v, "status": "ready", "wake_at": min(v["wake_at"], now), "updated_at": now})
    return returned(Tag.UPDATE, [(v["id"],) for _, v in locked])

"""Signals, as they are sent and as a claim loads them."""

from __future__ import annotations

from operator import itemgetter
from uuid import UUID

from saga.store import signals as sql
from saga.testing.store.messages import Course, Result, Tag, Values, returned, selected
from saga.testing.store.models.sagas import woken
from saga.testing.store.registry import models
from saga.testing.store.transactions import Transaction
from saga.testing.store.values import as_json

_ROW = itemgetter("saga_id", "id", "number", "name", "key", "payload", "sent_at")
_ENDED = ("completed", "compensated", "abandoned")


@models(sql.SIGNAL_WAKE, "16b5e4b9")
def signal_wake(t: Transaction, p: Values) -> Course:
    """A wake-up of a saga that can still take one."""

    def takes(v: Values) -> bool:
        return v["direction"] == "forward" and v["status"] not in _ENDED

    row = t.tables.saga.by_key.get((p["name"], p["key"]))
    seen = None if row is None else t.sees(row)
    found = [] if row is None or seen is None or not takes(seen) else [(row, seen)]
    made = yield from t.change(found, takes, lambda v: _told(t, v))
    if made:
        t.notify(p["channel"])
    return returned(Tag.UPDATE, [(str(v["id"]), v["inbox"], "") for v in made])


def _told(t: Transaction, v: Values) -> Values:
    """One that was started for later begins when it was told to."""
    unbegun = v["status"] == "asleep" and v["epoch"] == 0
    return {**woken(t, v), **({"status": v["status"], "wake_at": v["wake_at"]} if unbegun else {})}


@models(sql.SIGNAL_SEND, "33f4b1a8")
def signal_send(t: Transaction, p: Values) -> Course:
    """Once a key. Nobody waits for another sender here: whoever sends has the saga's row."""
    signal = {
        "id": UUID(p["id"]), "saga_id": UUID(p["saga"]), "number": p["number"], "name": p["signal"], "key": p["once"],
        "sent_at": t.now, "payload": as_json(p["payload"]),
    }  # fmt: skip
    if p["once"] is not None and _there(t, signal["saga_id"], p) is not None:
        return returned(Tag.INSERT, [])
    yield from t.insert_new(t.tables.signal, signal)
    return returned(Tag.INSERT, [(str(signal["id"]),)])


def _there(t: Transaction, saga_id: object, p: Values) -> Values | None:
    if p["once"] is None:
        return None
    sent = (t.sees(row) for row in t.tables.signal.by_saga.get(saga_id, ()))  # type: ignore[call-overload]
    return next(
        (v for v in sent if v is not None and (v["name"], v["key"]) == (p["signal"], p["once"])), None
    )


@models(sql.SIGNAL_THERE, "88cb0cb5")
def signal_there(t: Transaction, p: Values) -> Result:
    """The saga, and what was sent under the key. The lock on its key holds up no statement of ours, so it is none here."""
    row = t.tables.saga.by_key.get((p["name"], p["key"]))
    v = None if row is None else t.sees(row)
    if v is None:
        return selected([])
    sent = _there(t, v["id"], p)
    return selected([(v["status"], v["direction"], None if sent is None else sent["payload"])])


@models(sql.SIGNALS_OF, "58f7603d")
def signals_of(t: Transaction, p: Values) -> Result:
    """In the order in which they were sent."""
    by_saga = t.tables.signal.by_saga
    rows = [row for i in dict.fromkeys(p["ids"]) for row in by_saga.get(i, ())]
    found = [v for row in rows if (v := t.sees(row)) is not None]
    return selected([_ROW(v) for v in sorted(found, key=itemgetter("saga_id", "number"))])

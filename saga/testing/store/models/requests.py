"""Questions of operators to the workers."""

from __future__ import annotations

from datetime import timedelta
from operator import itemgetter

from saga.store import requests as sql
from saga.testing.store.messages import Course, Line, Result, Tag, Values, returned, selected, written
from saga.testing.store.registry import models
from saga.testing.store.transactions import Found, Transaction
from saga.testing.store.values import as_json

_DAY = timedelta(days=1)


@models(sql.ASK, "4380bfcc")
def request_ask(t: Transaction, p: Values) -> Course:
    """One question."""
    row = {
        "id": p["id"], "saga_id": p["saga"], "step": p["step"], "direction": p["direction"], "asked_by": p["who"],
        "asked_at": t.now, "expires_at": t.now + p["within"], "taken_at": None, "taken_by": None,
        "answered_at": None, "answer": None,
    }  # fmt: skip
    yield from t.insert_new(t.tables.request, row)
    return written(Tag.INSERT, 1)


@models(sql.HINT, "4012756a")
def request_hint(t: Transaction, p: Values) -> Result:
    """When the transaction commits."""
    t.notify(p["channel"])
    return selected([("",)])


@models(sql.SWEEP, "01510abb")
def request_sweep(t: Transaction, _: Values) -> Course:
    """What is over for a day."""

    def over(v: Values) -> bool:
        return bool(v["asked_at"] < t.now - _DAY and v["expires_at"] < t.now - _DAY)

    locked = yield from t.lock([one for one in t.all(t.tables.request) if over(one[1])], over)
    for row, _v in locked:
        t.delete(row)
    return written(Tag.DELETE, len(locked))


@models(sql.TAKE, "868bff02")
def request_take(t: Transaction, p: Values) -> Course:
    """The oldest first, of sagas that are served."""
    if not t.tables.request.rows:
        return returned(Tag.UPDATE, [])
    served = set(zip(p["names"], p["versions"], strict=True))

    def is_open(v: Values) -> bool:
        return v["taken_at"] is None and v["expires_at"] > t.now

    def saga_of(v: Values) -> tuple[str, int] | None:
        s = t.find(t.tables.saga, v["saga_id"])
        return None if s is None else (s["name"], s["version"])

    waiting = [one for one in t.all(t.tables.request) if is_open(one[1])]
    found: list[Found] = [one for one in waiting if saga_of(one[1]) in served]
    found.sort(key=lambda one: one[1]["asked_at"])
    of = {v["id"]: saga_of(v) for _, v in found}
    locked = yield from t.lock_free(found, is_open, p["limit"])
    lines: list[Line] = []
    for row, v in locked:
        t.write(row, {**v, "taken_at": t.now, "taken_by": p["worker"]})
        lines.append((v["id"], v["saga_id"], v["step"], v["direction"], *(of[v["id"]] or ())))
    return returned(Tag.UPDATE, lines)


@models(sql.ANSWER, "e44405f6")
def request_answer(t: Transaction, p: Values) -> Course:
    """Once; a value of its own is read as JSON before any row is looked for."""
    answer = as_json(p["answer"])

    def unanswered(v: Values) -> bool:
        return v["answered_at"] is None

    found = [one for one in t.under(t.tables.request, p["id"]) if unanswered(one[1])]
    made = yield from t.change(found, unanswered, lambda v: {**v, "answered_at": t.now, "answer": answer})
    return written(Tag.UPDATE, len(made))


@models(sql.STATE, "f767549a")
def request_state(t: Transaction, p: Values) -> Result:
    """How far a question is."""
    return selected([itemgetter("taken_by", "answer")(v) for _, v in t.under(t.tables.request, p["id"])])

"""Wake-ups, and what late evidence does to a saga."""

from __future__ import annotations

import json
from typing import cast

from saga.store import sagas as sql
from saga.testing.store.messages import Course, Result, Tag, Values, returned, selected, written
from saga.testing.store.registry import models
from saga.testing.store.transactions import Transaction, always

_CALM = {"park_cause": None, "park_reason": None, "park_detail": None}


def woken(t: Transaction, v: Values) -> Values:
    """What every wake-up does to a saga's row, whatever its status."""
    status = "ready" if v["status"] in {"asleep", "parked"} else v["status"]
    moved = {
        "inbox": v["inbox"] + 1,
        "wake_at": min(v["wake_at"], t.now),
        "status": status,
        "updated_at": t.now,
    }
    return {**v, **_CALM, **moved}


@models(sql.WAKE, "e85932b4")
def wake(t: Transaction, p: Values) -> Course:
    """An end stays an end."""
    made = yield from t.change(t.under(t.tables.saga, p["id"]), always, lambda v: woken(t, v))
    return returned(Tag.UPDATE, [(v["status"],) for v in made])


@models(sql.EFFECT_NOW, "06518e98")
def effect_now(t: Transaction, p: Values) -> Result:
    """And whether a person has stated that it was done by hand."""
    where = (p["saga"], p["step"], p["direction"])
    found = [v for _, v in t.under(t.tables.effect, where)]
    rows = t.tables.evidence.by_saga.get(p["saga"], [])
    seen = [v for row in rows if (v := t.sees(row)) is not None]
    by_hand = any(
        v["step"] == p["step"]
        and v["direction"] == p["direction"]
        and v["kind"] == "statement"
        and _by_hand(v)
        for v in seen
    )
    return selected([(v["status"], v["attempt"], by_hand) for v in found])


def _by_hand(v: Values) -> bool:
    body: object = json.loads(v["body"])
    said = cast("Values", body).get("by_hand") if isinstance(body, dict) else None
    return said in {True, "true"}


@models(sql.REOPEN, "df63e233")
def reopen(t: Transaction, p: Values) -> Course:
    """The end that it had is remembered."""

    def ended(v: Values) -> bool:
        return v["status"] in {"completed", "compensated"}

    found = [(row, v) for row, v in t.under(t.tables.saga, p["id"]) if ended(v)]
    again = {"status": "ready", "finished_at": None, "wake_at": t.now, "updated_at": t.now}
    made = yield from t.change(
        found, ended, lambda v: {**v, **again, "amendment": f'{{"end" : "{v["status"]}"}}'}
    )
    return written(Tag.UPDATE, len(made))


@models(sql.ALARM, "d5b5ef9d")
def alarm(t: Transaction, p: Values) -> Course:
    """The first alarm stays."""

    def after(v: Values) -> Values:
        return {**v, "alarm": p["alarm"] if v["alarm"] is None else v["alarm"]}

    made = yield from t.change(t.under(t.tables.saga, p["id"]), always, after)
    return written(Tag.UPDATE, len(made))

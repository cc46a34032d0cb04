"""Acts of operators on one saga: compare-and-set on its revision, under its lock."""

from __future__ import annotations

from collections.abc import Callable, Generator
from operator import itemgetter

from saga.store import acts as sql
from saga.testing.store.messages import Course, Result, Tag, Values, Wait, returned, selected
from saga.testing.store.models.sagas import woken
from saga.testing.store.registry import models
from saga.testing.store.transactions import Transaction

_SEEN = itemgetter("id", "name", "version", "key", "status", "direction", "revision", "park_cause", "alarm")
_CALM = {"park_cause": None, "park_reason": None, "park_detail": None}


@models(sql.LOCK, "9b23d942")
def act_lock(t: Transaction, p: Values) -> Course:
    """The saga as it is under the lock."""
    locked = yield from t.lock(t.under(t.tables.saga, p["id"]))
    return selected([(*_SEEN(v), t.now) for _, v in locked])


def _acted(
    t: Transaction, p: Values, after: Callable[[Values], Values], allowed: Callable[[Values], bool]
) -> Generator[Wait, None, Result]:
    """One saga of the revision that the operator saw goes one revision further."""

    def fits(v: Values) -> bool:
        return v["revision"] == p["revision"] and allowed(v)

    found = [(row, v) for row, v in t.under(t.tables.saga, p["id"]) if fits(v)]
    made = yield from t.change(
        found, fits, lambda v: {**after(v), "revision": v["revision"] + 1, "updated_at": t.now}
    )
    return returned(Tag.UPDATE, [(v["status"], v["revision"]) for v in made])


@models(sql.APPLY, "486776a1")
def act_apply(t: Transaction, p: Values) -> Course:
    """A wake-up, and perhaps a cancel; the alarm of a surplus is over."""

    def after(v: Values) -> Values:
        calm = None if v["park_cause"] == "surplus" else v["alarm"]
        return {**woken(t, v), "cancel_requested": v["cancel_requested"] or p["cancel"], "alarm": calm}

    return _acted(t, p, after, lambda _: True)


@models(sql.ABANDON, "d9939df5")
def act_abandon(t: Transaction, p: Values) -> Course:
    """An end, of a saga without an owner."""

    def after(v: Values) -> Values:
        end = {"status": "abandoned", "finished_at": t.now, "inbox": v["inbox"] + 1, "waiting_for": None}
        return {**v, **_CALM, **end}

    return _acted(t, p, after, lambda v: v["owner"] is None)


@models(sql.ACKNOWLEDGE, "6f7751e6")
def act_acknowledge(t: Transaction, p: Values) -> Course:
    """Its alarm is over."""
    return _acted(t, p, lambda v: {**v, "alarm": None}, lambda _: True)

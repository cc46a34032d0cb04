"""Moments, as a batch writes them and a claim loads them."""

from __future__ import annotations

from operator import itemgetter

from saga.store import moments as sql
from saga.testing.store.messages import Course, Refusal, Result, Tag, Values, selected, written
from saga.testing.store.models.outcomes import held, unnested
from saga.testing.store.registry import models
from saga.testing.store.transactions import Found, Transaction
from saga.testing.store.values import as_json, seconds

_BEGUN = ("saga", "epoch", "step", "kind", "position", "seconds", "value")
_ENDED = ("saga", "epoch", "step", "completion", "signal")
_ROW = itemgetter(
    "saga_id", "step", "kind", "position", "made_at", "due_at", "signal", "value", "completion", "ended_at"
)


@models(sql.MOMENTS, "3064d84c")
def moments(t: Transaction, p: Values) -> Course:
    """New moments of sagas whose claim holds."""
    count = 0
    for u in [u for u in unnested(p, _BEGUN) if held(t, p, u["saga"], u["epoch"]) is not None]:
        left = seconds(u["seconds"])
        moment = {
            "saga_id": u["saga"], "step": u["step"], "kind": u["kind"], "position": u["position"], "made_at": t.now,
            "due_at": None if left is None else t.now + left, "signal": None, "value": as_json(u["value"]),
            "completion": None, "ended_at": None,
        }  # fmt: skip
        count += yield from t.insert_or_not(t.tables.moment, moment)
    return written(Tag.INSERT, count)


@models(sql.MOMENT_ENDS, "b7ebab47")
def moment_ends(t: Transaction, p: Values) -> Course:
    """Once each."""
    news: dict[object, Values] = {}
    found: list[Found] = []
    for u in unnested(p, _ENDED):
        moment = (u["saga"], u["step"])
        for row, m in t.under(t.tables.moment, moment):
            claimed = held(t, p, u["saga"], u["epoch"]) is not None
            if claimed and m["completion"] is None and moment not in news:
                _taken_once(t, u["signal"])
                news[moment] = u
                found.append((row, m))
    made = yield from t.change(
        found,
        lambda m: m["completion"] is None,
        lambda m: {**m, **_end(news[m["saga_id"], m["step"]]), "ended_at": t.now},
    )
    return written(Tag.UPDATE, len(made))


def _end(u: Values) -> Values:
    return {"completion": u["completion"], "signal": u["signal"]}


def _taken_once(t: Transaction, signal: object) -> None:
    """The unique index of what was taken. Nobody waits at it here: whoever took it has the saga's row.

    Raises:
        Refusal: 23505.
    """
    if signal is not None and any(v["signal"] == signal for _, v in t.all(t.tables.moment)):
        raise Refusal("23505", 'duplicate key value violates unique constraint "uq_moment_signal"')


@models(sql.MOMENTS_OF, "6f13750d")
def moments_of(t: Transaction, p: Values) -> Result:
    """By position."""
    by_saga = t.tables.moment.by_saga
    rows = [row for i in dict.fromkeys(p["ids"]) for row in by_saga.get(i, ())]
    found = [v for row in rows if (v := t.sees(row)) is not None]
    return selected([_ROW(v) for v in sorted(found, key=itemgetter("position"))])

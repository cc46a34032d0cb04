"""The frame of a batch: limits, fence, beat, the sagas' locks; and what recovery reads of one."""

from __future__ import annotations

from saga.store import statements as sql
from saga.testing.store.messages import Course, Refusal, Result, Tag, Values, selected, written
from saga.testing.store.registry import models
from saga.testing.store.transactions import Transaction, always
from saga.testing.store.values import shown


@models(sql.LIMITS, "72e93b90")
def limits(t: Transaction, p: Values) -> Result:
    """Until the transaction's end."""
    ms = int(p["ms"])
    t.statement_ms = t.lock_ms = t.idle_ms = ms
    t.whole_ms = ms * 3
    word = shown(ms)
    return selected([(word, word, word, shown(ms * 3), "off")])


@models(sql.FENCE, "a4ebe4ad")
def fence(t: Transaction, p: Values) -> Course:
    """The count is one or zero, and one is divided by it."""
    batch = p["batch"]

    def fits(v: Values) -> bool:
        return bool(v["batch"] < batch)

    found = [(row, v) for row, v in t.under(t.tables.worker, (p["me"], p["lane"])) if fits(v)]
    if not (yield from t.lock(found, fits)):
        raise Refusal("22012", "division by zero")
    return selected([(t.now, 1)])


@models(sql.BEAT, "a69abd9d")
def beat(t: Transaction, p: Values) -> Course:
    """The worker's row, and in it the batch's number."""
    news = {"beat": t.now, "batch": p["batch"], "state": p["state"]}
    found = t.under(t.tables.worker, (p["me"], p["lane"]))
    made = yield from t.change(found, always, lambda v: {**v, **news})
    return written(Tag.UPDATE, len(made))


@models(sql.LAST_BATCH, "df8ac5ce")
def last_batch(t: Transaction, p: Values) -> Course:
    """Behind a batch that is still committing."""
    locked = yield from t.lock(t.under(t.tables.worker, (p["me"], p["lane"])))
    return selected([(v["batch"], t.now) for _, v in locked])


def _mine(v: Values, p: Values) -> bool | None:
    """`owner = me AND lane = lane`; None where nobody owns it."""
    owner = v["owner"]
    return None if owner is None else owner == p["me"] and v["lane"] == p["lane"]


@models(sql.LOCK_SAGAS, "0d35125b")
def lock_sagas(t: Transaction, p: Values) -> Course:
    """In the order of their ids."""
    found = [one for i in sorted(set(p["ids"])) for one in t.under(t.tables.saga, i)]
    locked = yield from t.lock(found)
    return selected(
        [
            (v["id"], _mine(v, p), v["epoch"], v["inbox"], v["cancel_requested"], v["direction"])
            for _, v in locked
        ]
    )


@models(sql.SAGA_STATES, "03a73b9c")
def saga_states(t: Transaction, p: Values) -> Result:
    """As lock_sagas, without the locks."""
    found = [v for i in dict.fromkeys(p["ids"]) for _, v in t.under(t.tables.saga, i)]
    return selected(
        [
            (v["id"], _mine(v, p), v["epoch"], v["inbox"], v["cancel_requested"], v["last_write"])
            for v in found
        ]
    )


@models(sql.INTENTS_THERE, "5f854f51")
def intents_there(t: Transaction, p: Values) -> Result:
    """The index points at whoever ever had the intent: the version that is seen must have it."""
    by_intent = t.tables.effect.by_intent
    found = [(i, t.sees(by_intent[i])) for i in dict.fromkeys(p["intents"]) if i in by_intent]
    return selected(
        [(v["saga_id"], v["step"], v["direction"]) for i, v in found if v is not None and v["intent_id"] == i]
    )

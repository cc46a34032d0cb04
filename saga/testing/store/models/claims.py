"""Claims, what is loaded of claimed sagas, and how a saga starts."""

from __future__ import annotations

import json
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from uuid import UUID

from saga.core.model import UNBEGUN
from saga.store import starts
from saga.store import statements as sql
from saga.testing.store.messages import Course, Line, Refusal, Result, Tag, Values, Wait, returned, selected
from saga.testing.store.registry import models
from saga.testing.store.transactions import Transaction
from saga.testing.store.values import as_json, seconds

_SAGA = itemgetter(
    "id", "name", "version", "key", "epoch", "inbox", "direction", "input", "degraded", "error", "plan",
    "deadline_at", "cancel_requested", "status", "amendment",
)  # fmt: skip
_EFFECT = itemgetter(
    "saga_id", "step", "direction", "position", "name", "service", "key", "request_hash", "arguments", "status",
    "attempt", "first_intent_at", "intent_at", "deadline_at", "key_expires_at", "ended_at", "result", "error",
    "proof", "by_statement", "completion", "doubt_since", "probes",
)  # fmt: skip
_OBSERVED = itemgetter("saga_id", "step", "direction", "attempt", "kind", "body")
_NULL = dict.fromkeys(
    ("waiting_for", "owner", "lane", "output", "error", "degraded", "plan", "amendment", "park_cause", "park_reason",
     "park_detail", "alarm", "last_write", "finished_at", "purged_at"),
)  # fmt: skip


@models(sql.CLAIM, "e8a92f35")
def claim(t: Transaction, p: Values) -> Course:
    """The longest due first; what others have locked is passed over."""
    served = set(zip(p["names"], p["versions"], strict=True))
    now = t.now

    def fits(v: Values) -> bool:
        return v["status"] == "ready" and v["wake_at"] <= now and (v["name"], v["version"]) in served

    due = t.tables.saga.ready.due(now)
    found = ((row, v) for row, v in due if (v["name"], v["version"]) in served and t.sees(row) is v)
    locked = yield from t.lock_free(found, fits, p["room"])
    lines: list[Line] = []
    for row, v in locked:
        claimed = {
            **v, "status": "running", "owner": p["me"], "lane": p["lane"], "epoch": v["epoch"] + 1,
            "waiting_for": None, "updated_at": now,
        }  # fmt: skip
        t.write(row, claimed)
        lines.append(_SAGA(claimed))
    return returned(Tag.UPDATE, lines)


@models(sql.MINE, "9e5a22d2")
def mine(t: Transaction, p: Values) -> Result:
    """What a lane owns."""
    owned = [v for row in t.tables.saga.running.get(p["me"], {}) if (v := t.sees(row)) is not None]
    return selected([_SAGA(v) for v in owned if v["owner"] == p["me"] and v["lane"] == p["lane"]])


@models(sql.RELOAD, "2518d591")
def reload(t: Transaction, p: Values) -> Result:
    """One saga, if the claim holds."""
    found = [v for _, v in t.under(t.tables.saga, p["id"])]
    return selected(
        [
            _SAGA(v)
            for v in found
            if v["epoch"] == p["epoch"] and v["lane"] == p["lane"] and v["owner"] == p["me"]
        ]
    )


@models(sql.EFFECTS_OF, "90066190")
def effects_of(t: Transaction, p: Values) -> Result:
    """By position."""
    by_saga = t.tables.effect.by_saga
    rows = [row for i in dict.fromkeys(p["ids"]) for row in by_saga.get(i, ())]
    found = [v for row in rows if (v := t.sees(row)) is not None]
    return selected([_EFFECT(v) for v in sorted(found, key=itemgetter("position"))])


@models(sql.EVIDENCE_OF, "b75267bb")
def evidence_of(t: Transaction, p: Values) -> Result:
    """By time, then by id."""
    by_saga = t.tables.evidence.by_saga
    rows = [row for i in dict.fromkeys(p["ids"]) for row in by_saga.get(i, ())]
    found = [v for row in rows if (v := t.sees(row)) is not None]
    return selected([_OBSERVED(v) for v in sorted(found, key=itemgetter("at", "id"))])


@models(starts.START, "2133c41b")
def start(t: Transaction, p: Values) -> Course:
    """Now."""
    made = yield from _started(t, p, t.now)
    return returned(Tag.INSERT, [] if made is None else [(str(made["id"]), "")])


@models(starts.START_WITH, "fb33b645")
def start_with(t: Transaction, p: Values) -> Course:
    """When it is said; nobody is told of what sleeps."""
    at = t.now if p["at"] is None else datetime.fromtimestamp(p["at"], UTC)
    made = yield from _started(
        t, p, max(t.now, at if p["after"] is None else t.now + timedelta(seconds=p["after"]))
    )
    tags: dict[str, str] = {} if made is None or p["tags"] is None else json.loads(str(as_json(p["tags"])))
    for name, value in tags.items():
        t.insert(t.tables.tag, {"saga_id": UUID(p["id"]), "name": name, "value": value})
    hint = None if made is None or made["status"] == "asleep" else ""
    return returned(Tag.SELECT, [] if made is None else [(str(made["id"]), hint)])


def _started(t: Transaction, p: Values, begin: datetime) -> Generator[Wait, None, Values | None]:
    """One saga a name and key; the second starter waits for the first. None: the key is taken."""
    sagas = t.tables.saga
    left = seconds(p["deadline"])
    asleep = begin > t.now
    made = {
        **_NULL, "id": UUID(p["id"]), "name": p["name"], "version": p["version"], "key": p["key"],
        "status": "asleep" if asleep else "ready", "direction": "forward", "wake_at": begin, "epoch": 0, "inbox": 0,
        "waiting_for": UNBEGUN if asleep else None,
        "input": as_json(p["input"]), "input_hash": p["input_hash"],
        "deadline_at": None if left is None else begin + left,
        "cancel_requested": False, "revision": 0, "created_at": t.now, "updated_at": t.now,
    }  # fmt: skip
    sagas.check(made)
    name = (p["name"], p["key"])
    if name in sagas.by_key and (yield from t.settled(lambda: sagas.by_key.get(name))):
        return None
    same = sagas.rows.get(made["id"])
    if same is not None and (yield from t.settled(lambda: sagas.rows.get(made["id"]))):
        raise Refusal("23505", 'duplicate key value violates unique constraint "pk_saga"')
    t.insert(sagas, made)
    if not asleep:
        t.notify(p["channel"])
    return made


@models(starts.TAKEN, "bfcfafb0")
def taken(t: Transaction, p: Values) -> Result:
    """Who has the key. The lock on it holds up no statement of ours, so that it is none here."""
    row = t.tables.saga.by_key.get((p["name"], p["key"]))
    v = None if row is None else t.sees(row)
    return selected([] if v is None else [(str(v["id"]), v["input_hash"])])

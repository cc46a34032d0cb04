"""What a batch writes of its sagas: outcomes, intents, watches, the sagas' own rows, evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from operator import itemgetter
from typing import Any

from saga.store import statements as sql
from saga.testing.store.messages import Course, Line, Tag, Values, returned, written
from saga.testing.store.registry import models
from saga.testing.store.transactions import Found, Transaction
from saga.testing.store.values import as_json, seconds

_OUTCOME = (
    "saga", "epoch", "step", "direction", "attempt", "status", "result", "error", "proof", "by_statement",
    "completion", "probes", "in_doubt", "ended",
)  # fmt: skip
_INTENT = (
    "saga", "epoch", "step", "direction", "attempt", "intent_id", "position", "name", "service", "key",
    "request_hash", "arguments", "timeout", "key_lifetime",
)  # fmt: skip
_SAGA = (
    "saga", "epoch", "write_id", "seen", "status", "direction", "wake_at", "waiting_for", "output", "error",
    "degraded", "plan", "park_cause", "park_reason", "park_detail", "alarm", "amendment", "calm", "past_pivot",
)  # fmt: skip
_EVIDENCE = ("id", "saga", "step", "direction", "attempt", "kind", "body")
_WATCH = ("saga", "epoch", "step", "direction", "seconds")
_NOT_YET = dict.fromkeys(
    ("ended_at", "result", "error", "proof", "completion", "doubt_since"),
)
_FIRST_ASKED_S = 10.0
_EFFECT = itemgetter("saga_id", "step", "direction")


def unnested(p: Values, columns: Sequence[str]) -> Iterator[Values]:
    """`unnest` of several arrays side by side, a dict a line."""
    for line in zip(*[p[column] for column in columns], strict=True):
        yield dict(zip(columns, line, strict=True))


def held(t: Transaction, p: Values, saga_id: object, epoch: int) -> Values | None:
    """The saga's row as it is seen, if the claim still holds."""
    v = t.find(t.tables.saga, saga_id)
    if v is None or v["epoch"] != epoch or v["lane"] != p["lane"] or v["owner"] != p["me"]:
        return None
    return v


@models(sql.OUTCOMES, "41c1a5ee")
def outcomes(t: Transaction, p: Values) -> Course:
    """A row that comes twice is written once, as its first."""
    news: dict[Line, Values] = {}
    found: list[Found] = []
    for u in unnested(p, _OUTCOME):
        effect = (u["saga"], u["step"], u["direction"])
        for row, e in t.under(t.tables.effect, effect):
            same = e["attempt"] == u["attempt"] and effect not in news
            if same and held(t, p, u["saga"], u["epoch"]) is not None:
                as_json(u["result"])
                as_json(u["error"])
                news[effect] = u
                found.append((row, e))
    made = yield from t.change(
        found,
        lambda e: e["attempt"] == news[_EFFECT(e)]["attempt"],
        lambda e: _settled(t, e, news[_EFFECT(e)]),
    )
    return returned(Tag.UPDATE, [_EFFECT(e) for e in made])


def _settled(t: Transaction, e: Values, u: Values) -> Values:
    return {
        **e, "status": u["status"], "result": u["result"], "error": u["error"], "proof": u["proof"],
        "by_statement": u["by_statement"], "completion": u["completion"], "probes": u["probes"],
        "doubt_since": (e["doubt_since"] or t.now) if u["in_doubt"] else None,
        "ended_at": t.now if u["ended"] else e["ended_at"],
    }  # fmt: skip


def _intents(t: Transaction, p: Values) -> Iterator[Values]:
    """The intents whose saga may take them."""
    for u in unnested(p, _INTENT):
        s = held(t, p, u["saga"], u["epoch"])
        if s is None:
            continue
        backward = u["direction"] == "backward"
        its_way = s["direction"] == u["direction"] or (backward and s["amendment"] is not None)
        if its_way and (backward or not s["cancel_requested"]):
            yield u


@models(sql.FIRST_INTENTS, "2a0d4261")
def first_intents(t: Transaction, p: Values) -> Course:
    """New effects."""
    lines: list[Line] = []
    for e in [_first(t, p, u) for u in _intents(t, p)]:
        if (yield from t.insert_or_not(t.tables.effect, e)):
            lines.append(_EFFECT(e))  # noqa: PERF401 - it may wait on the way
    return returned(Tag.INSERT, lines)


def _first(t: Transaction, p: Values, u: Values) -> Values:
    life = seconds(u["key_lifetime"])
    return {
        "saga_id": u["saga"], "step": u["step"], "direction": u["direction"], "position": u["position"],
        "name": u["name"], "service": u["service"], "key": u["key"], "request_hash": u["request_hash"],
        "arguments": as_json(u["arguments"]), "status": "sent", "attempt": 1, "intent_id": u["intent_id"],
        "worker": p["me"], "first_intent_at": t.now, "intent_at": t.now,
        "deadline_at": t.now + timedelta(seconds=u["timeout"]),
        "key_expires_at": None if life is None else t.now + life,
        **_NOT_YET, "by_statement": False, "probes": 0,
    }  # fmt: skip


@models(sql.NEXT_INTENTS, "6384b607")
def next_intents(t: Transaction, p: Values) -> Course:
    """Compare-and-set on the attempt before, and on the request's hash."""
    news: dict[Line, Values] = {}
    found: list[Found] = []
    for u in _intents(t, p):
        effect = (u["saga"], u["step"], u["direction"])
        for row, e in t.under(t.tables.effect, effect):
            if _follows(e, u) and effect not in news:
                news[effect] = u
                found.append((row, e))
    made = yield from t.change(
        found,
        lambda e: _follows(e, news[_EFFECT(e)]),
        lambda e: _sent_again(t, p, e, news[_EFFECT(e)]),
    )
    return returned(Tag.UPDATE, [_EFFECT(e) for e in made])


def _follows(e: Values, u: Values) -> bool:
    return bool(e["attempt"] == u["attempt"] - 1 and e["request_hash"] == u["request_hash"])


def _sent_again(t: Transaction, p: Values, e: Values, u: Values) -> Values:
    deadline = max(e["deadline_at"], t.now + timedelta(seconds=u["timeout"]))
    return {
        **e, "status": "sent", "attempt": u["attempt"], "intent_id": u["intent_id"], "worker": p["me"],
        "intent_at": t.now, "ended_at": None, "result": None, "error": None, "proof": None, "deadline_at": deadline,
    }  # fmt: skip


@models(sql.WATCHES, "ae52844a")
def watches(t: Transaction, p: Values) -> Course:
    """New watches of sagas whose claim holds."""
    claimed = [u for u in unnested(p, _WATCH) if held(t, p, u["saga"], u["epoch"]) is not None]
    count = 0
    for u in claimed:
        watch = {
            "saga_id": u["saga"], "step": u["step"], "direction": u["direction"], "opened_at": t.now, "asked": 0,
            "next_at": t.now + timedelta(seconds=min(_FIRST_ASKED_S, u["seconds"])),
            "until": t.now + timedelta(seconds=u["seconds"]),
        }  # fmt: skip
        count += yield from t.insert_or_not(t.tables.watch, watch)
    return written(Tag.INSERT, count)


@models(sql.SAGAS, "e46d3759")
def sagas(t: Transaction, p: Values) -> Course:
    """Where the sagas go, if the claim holds and the inbox has not moved."""
    news: dict[object, Values] = {}
    found: list[Found] = []
    me, lane = p["me"], p["lane"]

    def fits(s: Values, u: Values) -> bool:
        held = s["epoch"] == u["epoch"] and s["lane"] == lane and s["owner"] == me
        return held and (u["seen"] is None or u["seen"] == s["inbox"])

    for u in unnested(p, _SAGA):
        for row, s in t.under(t.tables.saga, u["saga"]):
            if u["saga"] not in news and fits(s, u):
                _read_json(s, u)
                news[u["saga"]] = u
                found.append((row, s))
    made = yield from t.change(found, lambda s: fits(s, news[s["id"]]), lambda s: _moved(t, s, news[s["id"]]))
    return returned(Tag.UPDATE, [(s["id"],) for s in made])


def _read_json(s: Values, u: Values) -> None:
    """Cast what the statement casts; what CASE and COALESCE never come to is not looked at."""
    for column in ("output", "error", "degraded", "park_detail"):
        as_json(u[column])
    if s["plan"] is None:
        as_json(u["plan"])
    if u["status"] not in {"completed", "compensated"}:
        as_json(u["amendment"])


def _first_of(*values: Any) -> Any:
    """COALESCE."""
    return next((value for value in values if value is not None), None)


def _moved(t: Transaction, s: Values, u: Values) -> Values:
    status = u["status"]
    runs = status == "running"
    ends = status in {"completed", "compensated"}
    return {
        **s, "status": status, "direction": u["direction"],
        "owner": s["owner"] if runs else None, "lane": s["lane"] if runs else None,
        "wake_at": u["wake_at"] or s["wake_at"], "waiting_for": u["waiting_for"],
        "output": _first_of(u["output"], s["output"]), "error": _first_of(u["error"], s["error"]),
        "degraded": _first_of(u["degraded"], s["degraded"]), "plan": _first_of(s["plan"], u["plan"]),
        "park_cause": u["park_cause"], "park_reason": u["park_reason"], "park_detail": u["park_detail"],
        "alarm": None if u["calm"] else _first_of(u["alarm"], s["alarm"]),
        "amendment": None if ends else _first_of(u["amendment"], s["amendment"]),
        "cancel_requested": s["cancel_requested"] and not u["past_pivot"],
        "deadline_at": None if u["past_pivot"] else s["deadline_at"],
        "revision": s["revision"] + (0 if status in {"asleep", "ready"} else 1),
        "last_write": u["write_id"], "updated_at": t.now, "finished_at": t.now if ends else None,
    }  # fmt: skip


@models(sql.EVIDENCE, "4194c017")
def evidence(t: Transaction, p: Values) -> Course:
    """Whoever saw it, and once."""
    count = 0
    for u in unnested(p, _EVIDENCE):
        seen = {
            "id": u["id"], "saga_id": u["saga"], "step": u["step"], "direction": u["direction"],
            "attempt": u["attempt"], "kind": u["kind"], "at": t.now, "worker": p["me"], "body": as_json(u["body"]),
        }  # fmt: skip
        count += yield from t.insert_or_not(t.tables.evidence, seen)
    return written(Tag.INSERT, count)

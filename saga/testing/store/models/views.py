"""What callers, webhooks and operators read of one saga."""

from __future__ import annotations

from operator import itemgetter

from saga.store import views as sql
from saga.store import witnesses
from saga.testing.store.messages import Line, Result, Values, selected
from saga.testing.store.registry import models
from saga.testing.store.transactions import Transaction

_VIEW = itemgetter(
    "id", "name", "version", "key", "status", "output", "error", "degraded", "park_cause", "park_reason", "alarm",
    "revision", "cancel_requested", "purged_at",
)  # fmt: skip


def _view(v: Values) -> Line:
    (*line, purged_at) = _VIEW(v)
    return (*line, purged_at is not None)


@models(sql.BY_ID, "c73aacbe")
def view_by_id(t: Transaction, p: Values) -> Result:
    """One saga."""
    return selected([_view(v) for _, v in t.under(t.tables.saga, p["id"])])


@models(sql.BY_KEY, "524824c1")
def view_by_key(t: Transaction, p: Values) -> Result:
    """One saga."""
    row = t.tables.saga.by_key.get((p["name"], p["key"]))
    v = None if row is None else t.sees(row)
    return selected([] if v is None else [_view(v)])


@models(sql.SECRET, "9d0edfc4")
def secret(t: Transaction, _: Values) -> Result:
    """What the first migration wrote."""
    return selected([(v["value"],) for _, v in t.under(t.tables.setting, "secret")])


@models(witnesses.BY_KEY, "d9308694")
def effect_by_key(t: Transaction, p: Values) -> Result:
    """The effect, its step's forward effect, and its saga."""
    lines: list[Line] = []
    for row in t.tables.effect.by_key.get(p["key"], []):
        e = t.sees(row)
        if e is None:
            continue
        s = t.find(t.tables.saga, e["saga_id"])
        f = t.find(t.tables.effect, (e["saga_id"], e["step"], "forward"))
        if s is not None and f is not None:
            lines.append(
                (
                    e["saga_id"],
                    e["step"],
                    e["direction"],
                    e["attempt"],
                    f["name"],
                    s["name"],
                    s["version"],
                    t.now,
                )
            )
    return selected(lines)

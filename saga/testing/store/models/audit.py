"""The audit: entries with numbers that are unique."""

from __future__ import annotations

from operator import itemgetter

from saga.store import audit as sql
from saga.testing.store.messages import Course, Result, Tag, Values, selected, written
from saga.testing.store.registry import models
from saga.testing.store.transactions import Transaction
from saga.testing.store.values import as_json

_COLUMNS = ("number", "at", "who", "act", "saga_id", "because", "detail", "previous", "digest")
_ENTRY = itemgetter(*_COLUMNS)


@models(sql.LAST, "8261fd3f")
def audit_last(t: Transaction, _: Values) -> Result:
    """NULLs before the first entry."""
    last = max((v for _, v in t.all(t.tables.audit)), key=itemgetter("number"), default=None)
    return selected([(t.now, None, None) if last is None else (t.now, last["number"], last["digest"])])


@models(sql.APPEND, "27cfb2c3")
def audit_append(t: Transaction, p: Values) -> Course:
    """Of two with one number the second waits, and fails."""
    entry = {column: p[column] for column in _COLUMNS}
    as_json(entry["detail"])
    yield from t.insert_new(t.tables.audit, entry)
    return written(Tag.INSERT, 1)


def _entries(t: Transaction) -> list[Values]:
    return sorted((v for _, v in t.all(t.tables.audit)), key=itemgetter("number"))


@models(sql.ALL, "bbf9122c")
def audit_all(t: Transaction, _: Values) -> Result:
    """In order."""
    return selected([_ENTRY(v) for v in _entries(t)])


@models(sql.OF_SAGA, "af4ffebd")
def audit_of_saga(t: Transaction, p: Values) -> Result:
    """In order."""
    return selected([_ENTRY(v) for v in _entries(t) if v["saga_id"] == p["id"]])

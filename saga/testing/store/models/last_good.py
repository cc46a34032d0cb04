"""What reads returned last."""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta

from saga.store import last_good as sql
from saga.testing.store.messages import Course, Result, Tag, Values, Wait, selected, written
from saga.testing.store.registry import models
from saga.testing.store.transactions import Transaction
from saga.testing.store.values import as_json

_COLUMNS = ("hash", "step", "value", "age", "more")


@models(sql.KEEP, "5ecea932")
def last_good_keep(t: Transaction, p: Values) -> Course:
    """In the order of the hashes; the newer one stays."""
    made: list[Values] = []
    for line in sorted(zip(*[p[column] for column in _COLUMNS], strict=True)):
        u = dict(zip(_COLUMNS, line, strict=True))
        at, until = t.now - timedelta(seconds=u["age"]), t.now + timedelta(seconds=u["more"])
        made.append(
            {"hash": u["hash"], "step": u["step"], "value": as_json(u["value"]), "at": at, "until": until}
        )
    count = 0
    for new in made:
        count += yield from _kept(t, new)
    return written(Tag.INSERT, count)


def _kept(t: Transaction, new: Values) -> Generator[Wait, None, bool]:
    while not (yield from t.insert_or_not(t.tables.last_good, new)):
        for row, old in (yield from t.lock(t.under(t.tables.last_good, new["hash"]))):
            newer = bool(old["at"] < new["at"])
            if newer:
                t.write(row, {**new, "step": old["step"], "until": max(old["until"], new["until"])})
            return newer
    return True


@models(sql.FIND, "5a3a6e42")
def last_good_find(t: Transaction, p: Values) -> Result:
    """With their ages."""
    found = [v for one in dict.fromkeys(p["hashes"]) for _, v in t.under(t.tables.last_good, one)]
    return selected([(v["hash"], v["value"], t.now - v["at"]) for v in found])


@models(sql.SWEEP, "09d6fc4e")
def last_good_sweep(t: Transaction, p: Values) -> Course:
    """The longest over first."""

    def over(v: Values) -> bool:
        return bool(v["until"] < t.now)

    found = sorted(
        (one for one in t.all(t.tables.last_good) if over(one[1])), key=lambda one: one[1]["until"]
    )
    locked = yield from t.lock_free(found, over, p["limit"])
    for row, _ in locked:
        t.delete(row)
    return written(Tag.DELETE, len(locked))

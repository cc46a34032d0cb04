"""Moments, as both stores are given them, and each answer of the statements about them."""

from __future__ import annotations

from typing import Any

from saga.store import moments as sql
from saga.store import signals
from saga.store.sql import Statement
from tests.support.stores import LONG_AGO, NAME, Seen, Store, Values, number, plain, saga_id, worker_id

Case = tuple[str, Statement, Values, Seen]

_SLEPT: Values = {
    "step": "sleep#1", "kind": "sleep", "position": 2, "made_at": LONG_AGO, "due_at": LONG_AGO, "signal": None, "value": None, "completion": None,
    "ended_at": None,
}  # fmt: skip
MOMENTS: list[Values] = [
    {**_SLEPT, "saga_id": saga_id(1)},
    {**_SLEPT, "saga_id": saga_id(3), "completion": 1, "ended_at": LONG_AGO},
    {**_SLEPT, "saga_id": saga_id(1), "step": "approval#1", "kind": "signal", "position": 3, "due_at": None},
    {**_SLEPT, "saga_id": saga_id(3), "step": "approval#1", "kind": "signal", "completion": 2, "ended_at": LONG_AGO,
     "signal": number(7, 3)},
]  # fmt: skip
"""Of a saga that still waits, and of one that has waited."""
SIGNALS: list[Values] = [
    {"id": number(7, n), "saga_id": saga_id(n), "number": 1, "name": "approval", "key": f"k{n}", "sent_at": LONG_AGO,
     "payload": '{"by":"ann"}'}
    for n in (1, 3, 6)
]  # fmt: skip


async def put_waits(store: Store) -> None:
    """These rows."""
    for moment in MOMENTS:
        await store.put("moment", moment)
    for signal in SIGNALS:
        await store.put("signal", signal)


_MINE: Values = {"me": worker_id(0), "lane": 0, "saga": [saga_id(1)], "epoch": [1]}
_NEW: Values = {
    **_MINE,
    "step": ["sleep#2"],
    "kind": ["sleep"],
    "position": [3],
    "seconds": [60.0],
    "value": [None],
}
_DRAWN: Values = {**_NEW, "step": ["random#1"], "kind": ["random"], "seconds": [None]}
_ENDED: Values = {**_MINE, "step": ["sleep#1"], "completion": [4], "signal": [None]}
_CAME: Values = {**_ENDED, "step": ["approval#1"], "signal": [number(7, 1)]}
_TO: Values = {"name": NAME, "channel": "saga_ready_saga"}
_SENT: Values = {
    "id": str(number(7, 9)), "saga": str(saga_id(1)), "number": 2, "signal": "approval", "once": "k9", "payload": "{}",
}  # fmt: skip
_CHECK = Seen(None, None, "23514", "CheckViolation")


def _rows(*lines: tuple[Any, ...]) -> Seen:
    return Seen(f"SELECT {len(lines)}", tuple(sorted((plain(line) for line in lines), key=repr)))


MOMENT_CASES: list[Case] = [
    ("written", sql.MOMENTS, _NEW, Seen("INSERT 0 1")),
    ("there already", sql.MOMENTS, {**_NEW, "step": ["sleep#1"]}, Seen("INSERT 0 0")),
    ("another epoch", sql.MOMENTS, {**_NEW, "epoch": [2]}, Seen("INSERT 0 0")),
    ("unknown kind", sql.MOMENTS, {**_NEW, "kind": ["nap"]}, _CHECK),
    ("never due", sql.MOMENTS, {**_NEW, "seconds": [None]}, _CHECK),
    ("drawn", sql.MOMENTS, {**_DRAWN, "value": ["0.5"]}, Seen("INSERT 0 1")),
    ("drawn, and nothing", sql.MOMENTS, _DRAWN, _CHECK),
    ("no JSON", sql.MOMENTS, {**_DRAWN, "value": ["{"]}, Seen(None, None, "22P02", "InvalidTextRepresentation")),
    ("written", sql.MOMENT_ENDS, _ENDED, Seen("UPDATE 1")),
    ("another epoch", sql.MOMENT_ENDS, {**_ENDED, "epoch": [2]}, Seen("UPDATE 0")),
    ("ended before", sql.MOMENT_ENDS, {**_ENDED, "saga": [saga_id(3)]}, Seen("UPDATE 0")),
    ("nothing ends", sql.MOMENT_ENDS, {**_ENDED, "completion": [None]}, _CHECK),
    ("a signal", sql.MOMENT_ENDS, _CAME, Seen("UPDATE 1")),
    ("a signal that was taken", sql.MOMENT_ENDS, {**_CAME, "signal": [number(7, 3)]},
     Seen(None, None, "23505", "UniqueViolation")),
    ("a signal ends a sleep", sql.MOMENT_ENDS, {**_CAME, "step": ["sleep#1"]}, _CHECK),
    ("asleep", signals.SIGNAL_WAKE, {**_TO, "key": "k5"}, Seen("UPDATE 1", (plain((str(saga_id(5)), 1, "")),))),
    ("parked", signals.SIGNAL_WAKE, {**_TO, "key": "k4"}, Seen("UPDATE 1", (plain((str(saga_id(4)), 1, "")),))),
    ("ended", signals.SIGNAL_WAKE, {**_TO, "key": "k6"}, Seen("UPDATE 0", ())),
    ("nobody", signals.SIGNAL_WAKE, {**_TO, "key": "free"}, Seen("UPDATE 0", ())),
    ("new", signals.SIGNAL_SEND, _SENT, Seen("INSERT 0 1", (plain((str(number(7, 9)),)),))),
    ("without a key", signals.SIGNAL_SEND, {**_SENT, "once": None}, Seen("INSERT 0 1", (plain((str(number(7, 9)),)),))),
    ("again", signals.SIGNAL_SEND, {**_SENT, "once": "k1"}, Seen("INSERT 0 0", ())),
    ("no JSON", signals.SIGNAL_SEND, {**_SENT, "payload": "{"}, Seen(None, None, "22P02", "InvalidTextRepresentation")),
    ("sent", signals.SIGNAL_THERE, {**_TO, "key": "k6", "signal": "approval", "once": "k6"},
     _rows(("completed", "forward", '{"by":"ann"}'))),
    ("not sent", signals.SIGNAL_THERE, {**_TO, "key": "k6", "signal": "approval", "once": None},
     _rows(("completed", "forward", None))),
    ("nobody", signals.SIGNAL_THERE, {**_TO, "key": "free", "signal": "approval", "once": None}, _rows()),
    ("some", signals.SIGNALS_OF, {"ids": [saga_id(1)]},
     _rows((saga_id(1), number(7, 1), 1, "approval", "k1", '{"by":"ann"}', LONG_AGO))),
    ("none", signals.SIGNALS_OF, {"ids": [saga_id(0)]}, _rows()),
    ("some", sql.MOMENTS_OF, {"ids": [saga_id(3)]},
     _rows((saga_id(3), "sleep#1", "sleep", 2, LONG_AGO, LONG_AGO, None, None, 1, LONG_AGO),
           (saga_id(3), "approval#1", "signal", 2, LONG_AGO, LONG_AGO, number(7, 3), None, 2, LONG_AGO))),
    ("none", sql.MOMENTS_OF, {"ids": [saga_id(0)]}, _rows()),
]  # fmt: skip

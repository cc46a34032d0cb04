"""Each statement with each of its answers: rows, no rows, and every refusal, the same on Postgres and on the model.

The expectations are written down, so that the two cannot be wrong together.
"""

from datetime import timedelta
from typing import Any

import pytest

from saga.store import acts, audit, leases, requests, sagas, starts, views, watches, witnesses
from saga.store import statements as sql
from saga.store.sql import Statement
from tests.support.moments import MOMENT_CASES, put_waits
from tests.support.stores import (
    FAR_AHEAD,
    LONG_AGO,
    NAME,
    Seen,
    Store,
    a_saga,
    a_worker,
    an_effect,
    execute,
    number,
    plain,
    running,
    saga_id,
    worker_id,
)

ME = {"me": worker_id(0), "lane": 0}
SERVED: dict[str, Any] = {"names": [NAME], "versions": [1]}
WHERE = {"saga": saga_id(1), "step": "charge#1", "direction": "forward"}
ONE: dict[str, Any] = {
    **ME,
    "saga": [saga_id(1)],
    "epoch": [1],
    "step": ["charge#1"],
    "direction": ["forward"],
}
INTENT: dict[str, Any] = {
    **ONE, "attempt": [1], "intent_id": [number(3, 9)], "position": [1], "name": ["charge"], "service": ["psp"],
    "key": ["key"], "request_hash": ["hash"], "arguments": ["{}"], "timeout": [5.0], "key_lifetime": [None],
}  # fmt: skip
OUTCOME: dict[str, Any] = {
    **ONE, "attempt": [1], "status": ["succeeded"], "result": ["1"], "error": [None], "proof": ["reply"],
    "by_statement": [False], "completion": [1], "probes": [0], "in_doubt": [False], "ended": [True],
}  # fmt: skip
MOVE: dict[str, Any] = {
    **ONE, "write_id": [number(5, 1)], "seen": [0], "status": ["asleep"], "wake_at": [FAR_AHEAD],
    "waiting_for": ["charge#1"], "output": [None], "error": [None], "degraded": [None], "plan": [None],
    "park_cause": [None], "park_reason": [None], "park_detail": [None], "alarm": [None], "amendment": [None],
    "calm": [False], "past_pivot": [False],
}  # fmt: skip
SEEN: dict[str, Any] = {
    "me": None, "id": [number(4, 1)], "saga": [saga_id(1)], "step": ["charge#1"], "direction": ["forward"],
    "attempt": [1], "kind": ["probe"], "body": ["{}"],
}  # fmt: skip
START: dict[str, Any] = {
    "id": str(saga_id(7)), "name": NAME, "version": 1, "key": "k7", "input": "7", "input_hash": "h7",
    "deadline": None, "channel": "saga_ready_saga", "after": None, "at": None, "tags": None,
}  # fmt: skip
ENTRY: dict[str, Any] = {
    "number": 1, "at": LONG_AGO, "who": "ann", "act": "cancel", "saga_id": saga_id(0), "because": "x",
    "detail": "{}", "previous": "", "digest": "d",
}  # fmt: skip
ASKED: dict[str, Any] = {
    **WHERE, "id": number(6, 1), "who": "ann", "within": timedelta(hours=1), "channel": "saga_ready_saga",
}  # fmt: skip
REGISTRATION: dict[str, Any] = {
    "id": worker_id(5), "host": "h", "pid": 1, "serves": "[]", "lanes": 2, "lease": timedelta(hours=1),
}  # fmt: skip


def ok(word: str, *lines: tuple[Any, ...]) -> Seen:
    return Seen(word, tuple(sorted((plain(line) for line in lines), key=repr)))


def no(sqlstate: str | None, error: str) -> Seen:
    return Seen(None, None, sqlstate, error)


NOT_JSON = no("22P02", "InvalidTextRepresentation")
NUL = no(None, "DataError")
CHECK = no("23514", "CheckViolation")
NULL = no("23502", "NotNullViolation")
TAKEN = no("23505", "UniqueViolation")
EFFECT = (saga_id(1), "charge#1", "forward")
NEW = (saga_id(1), "ship#1", "forward")


def case(name: str, statement: Statement | str, values: dict[str, Any], expected: Seen) -> Any:
    named = statement if isinstance(statement, str) else statement.name
    return pytest.param(statement, values, expected, id=f"{named}: {name}")


CASES = [
    # The frame.
    case("milliseconds", sql.LIMITS, {"ms": "1500"}, ok("SELECT 1", ("1500ms", "1500ms", "1500ms", "4500ms", "off"))),
    case("minutes", sql.LIMITS, {"ms": "60000"}, ok("SELECT 1", ("1min", "1min", "1min", "3min", "off"))),
    case("none", sql.LIMITS, {"ms": "0"}, ok("SELECT 1", ("0", "0", "0", "0", "off"))),
    case("mine", sql.FENCE, {**ME, "batch": 1}, ok("SELECT 1", (FAR_AHEAD.replace(year=2030), 1))),
    case("a ghost", sql.FENCE, {**ME, "batch": 0}, no("22012", "DivisionByZero")),
    case("dead", sql.FENCE, {**ME, "lane": 3, "batch": 1}, no("22012", "DivisionByZero")),
    case("mine", sql.BEAT, {**ME, "batch": 1, "state": "draining"}, Seen("UPDATE 1")),
    case("dead", sql.BEAT, {**ME, "lane": 3, "batch": 1, "state": "draining"}, Seen("UPDATE 0")),
    case("unknown state", sql.BEAT, {**ME, "batch": 1, "state": "resting"}, CHECK),
    case("mine", sql.LAST_BATCH, ME, ok("SELECT 1", (0, FAR_AHEAD.replace(year=2030)))),
    case("dead", sql.LAST_BATCH, {**ME, "lane": 3}, ok("SELECT 0")),
    case("some gone", sql.LOCK_SAGAS, {**ME, "ids": [saga_id(1), saga_id(0), saga_id(99)]},
         ok("SELECT 2", (saga_id(0), None, 0, 0, False, "forward"), (saga_id(1), True, 1, 0, False, "forward"))),
    case("not mine", sql.LOCK_SAGAS, {"me": worker_id(1), "lane": 0, "ids": [saga_id(1)]},
         ok("SELECT 1", (saga_id(1), False, 1, 0, False, "forward"))),
    case("some", sql.SAGA_STATES, {**ME, "ids": [saga_id(1), saga_id(99)]},
         ok("SELECT 1", (saga_id(1), True, 1, 0, False, None))),
    case("some", sql.INTENTS_THERE, {"intents": [number(3, 1), number(3, 99)]}, ok("SELECT 1", EFFECT)),
    # What a batch writes.
    case("written", sql.OUTCOMES, OUTCOME, ok("UPDATE 1", EFFECT)),
    case("another epoch", sql.OUTCOMES, {**OUTCOME, "epoch": [2]}, ok("UPDATE 0")),
    case("another attempt", sql.OUTCOMES, {**OUTCOME, "attempt": [2]}, ok("UPDATE 0")),
    case("no proof", sql.OUTCOMES, {**OUTCOME, "proof": [None]}, CHECK),
    case("no completion", sql.OUTCOMES, {**OUTCOME, "completion": [None]}, CHECK),
    case("unknown status", sql.OUTCOMES, {**OUTCOME, "status": ["fine"], "completion": [None]}, CHECK),
    case("no status", sql.OUTCOMES, {**OUTCOME, "status": [None]}, NULL),
    case("not JSON", sql.OUTCOMES, {**OUTCOME, "result": ["{"]}, NOT_JSON),
    case("not JSON, another epoch", sql.OUTCOMES, {**OUTCOME, "epoch": [2], "result": ["{"]}, ok("UPDATE 0")),
    case("written", sql.FIRST_INTENTS, {**INTENT, "step": ["ship#1"]}, ok("INSERT 0 1", NEW)),
    case("there already", sql.FIRST_INTENTS, INTENT, ok("INSERT 0 0")),
    case("another epoch", sql.FIRST_INTENTS, {**INTENT, "step": ["ship#1"], "epoch": [7]}, ok("INSERT 0 0")),
    case("the other way", sql.FIRST_INTENTS, {**INTENT, "direction": ["backward"]}, ok("INSERT 0 0")),
    case("NUL", sql.FIRST_INTENTS, {**INTENT, "step": ["ship#1"], "key": ["\x00"]}, NUL),
    case("half a pair", sql.FIRST_INTENTS, {**INTENT, "key": ["\ud800"]}, no(None, "UnicodeEncodeError")),
    case("no name", sql.FIRST_INTENTS, {**INTENT, "step": ["ship#1"], "name": [None]}, NULL),
    case("not JSON", sql.FIRST_INTENTS, {**INTENT, "step": ["ship#1"], "arguments": ["NaN"]}, NOT_JSON),
    case("after the first", sql.NEXT_INTENTS, {**INTENT, "attempt": [2]}, ok("UPDATE 1", EFFECT)),
    case("one too far", sql.NEXT_INTENTS, {**INTENT, "attempt": [3]}, ok("UPDATE 0")),
    case("another request", sql.NEXT_INTENTS, {**INTENT, "attempt": [2], "request_hash": ["x"]}, ok("UPDATE 0")),
    case("after a cancel", sql.NEXT_INTENTS, {**INTENT, "saga": [saga_id(3)], "attempt": [2]}, ok("UPDATE 0")),
    case("written", sql.WATCHES, {**ONE, "seconds": [60.0]}, Seen("INSERT 0 1")),
    case("another epoch", sql.WATCHES, {**ONE, "epoch": [2], "seconds": [60.0]}, Seen("INSERT 0 0")),
    case("there already", sql.WATCHES, {**ONE, "saga": [saga_id(2)], "seconds": [1.0]}, Seen("INSERT 0 0")),
    case("asleep", sql.SAGAS, MOVE, ok("UPDATE 1", (saga_id(1),))),
    case("in any case", sql.SAGAS, {**MOVE, "seen": [None]}, ok("UPDATE 1", (saga_id(1),))),
    case("the inbox moved", sql.SAGAS, {**MOVE, "seen": [4]}, ok("UPDATE 0")),
    case("another epoch", sql.SAGAS, {**MOVE, "epoch": [2]}, ok("UPDATE 0")),
    case("parked without a cause", sql.SAGAS, {**MOVE, "status": ["parked"]}, CHECK),
    case("unknown cause", sql.SAGAS, {**MOVE, "status": ["parked"], "park_cause": ["bored"]}, CHECK),
    case("backward without a plan", sql.SAGAS, {**MOVE, "status": ["running"], "direction": ["backward"]}, CHECK),
    case("completed backward", sql.SAGAS,
         {**MOVE, "status": ["completed"], "direction": ["backward"], "plan": ["[]"]}, CHECK),
    case("compensated forward", sql.SAGAS, {**MOVE, "status": ["compensated"]}, CHECK),
    case("unknown status", sql.SAGAS, {**MOVE, "status": ["lost"]}, CHECK),
    case("not JSON", sql.SAGAS, {**MOVE, "output": ["{"]}, NOT_JSON),
    case("not JSON, never read", sql.SAGAS, {**MOVE, "status": ["completed"], "amendment": ["{"]},
         ok("UPDATE 1", (saga_id(1),))),
    case("written", sql.EVIDENCE, SEEN, Seen("INSERT 0 1")),
    case("twice in one", sql.EVIDENCE, {k: v and v * 2 for k, v in SEEN.items()}, Seen("INSERT 0 1")),
    case("unknown kind", sql.EVIDENCE, {**SEEN, "kind": ["rumour"]}, CHECK),
    case("not JSON", sql.EVIDENCE, {**SEEN, "body": [""]}, NOT_JSON),
    # Claims, and how they are loaded.
    case("the longest due first", sql.CLAIM, {**ME, "room": 1, **SERVED},
         ok("UPDATE 1", (saga_id(0), NAME, 1, "k0", 1, 0, "forward", "1", None, None, None, None, False, "running", None))),
    case("not served", sql.CLAIM, {**ME, "room": 5, "names": [NAME], "versions": [2]}, ok("UPDATE 0")),
    case("no room", sql.CLAIM, {**ME, "room": 0, **SERVED}, ok("UPDATE 0")),
    case("two", sql.MINE, {"me": worker_id(9), "lane": 0},
         ok("SELECT 1", (saga_id(2), NAME, 1, "k2", 1, 0, "forward", "1", None, None, None, None, False, "running", None))),
    case("none", sql.MINE, {**ME, "lane": 1}, ok("SELECT 0")),
    case("lost", sql.RELOAD, {**ME, "id": saga_id(1), "epoch": 9}, ok("SELECT 0")),
    case("none", sql.EFFECTS_OF, {"ids": [saga_id(0)]}, ok("SELECT 0")),
    case("none", sql.EVIDENCE_OF, {"ids": [saga_id(0)]}, ok("SELECT 0")),
    # Starts.
    case("new", starts.START, START, ok("INSERT 0 1", (str(saga_id(7)), ""))),
    case("the key is taken", starts.START, {**START, "key": "k0"}, ok("INSERT 0 0")),
    case("the id is taken", starts.START, {**START, "id": str(saga_id(0))}, TAKEN),
    case("not JSON", starts.START, {**START, "input": "{"}, NOT_JSON),
    case("NUL", starts.START, {**START, "key": "\x00"}, NUL),
    case("no name", starts.START, {**START, "name": None}, NULL),
    case("begins later", starts.START_WITH, {**START, "after": 60.0}, ok("SELECT 1", (str(saga_id(7)), None))),
    case("at a time", starts.START_WITH, {**START, "at": FAR_AHEAD.timestamp()}, ok("SELECT 1", (str(saga_id(7)), None))),
    case("that is past", starts.START_WITH, {**START, "at": LONG_AGO.timestamp()}, ok("SELECT 1", (str(saga_id(7)), ""))),
    case("tagged", starts.START_WITH, {**START, "tags": '{"a": "b"}'}, ok("SELECT 1", (str(saga_id(7)), ""))),
    case("the key is taken", starts.START_WITH, {**START, "after": 60.0, "key": "k0"}, ok("SELECT 0")),
    case("no name", starts.START_WITH, {**START, "after": 60.0, "name": None}, NULL),
    case("taken", starts.TAKEN, {"name": NAME, "key": "k0"}, ok("SELECT 1", (str(saga_id(0)), "h"))),
    case("free", starts.TAKEN, {"name": NAME, "key": "free"}, ok("SELECT 0")),
    # The lease.
    case("new", leases.REGISTER, REGISTRATION, Seen("INSERT 0 2")),
    case("again", leases.REGISTER, {**REGISTRATION, "id": worker_id(0)}, Seen("INSERT 0 1")),
    case("not JSON", leases.REGISTER, {**REGISTRATION, "serves": "["}, NOT_JSON),
    case("there", leases.LEAVE, {"id": worker_id(0)}, Seen("DELETE 1")),
    case("gone", leases.LEAVE, {"id": worker_id(8)}, Seen("DELETE 0")),
    case("one", leases.SILENT, {}, ok("SELECT 1", (worker_id(1),))),
    case("silent", leases.LOCK_WORKER, {"id": worker_id(1)}, ok("SELECT 1", (0, True))),
    case("beats", leases.LOCK_WORKER, {"id": worker_id(0)}, ok("SELECT 1", (0, False))),
    case("gone", leases.LOCK_WORKER, {"id": worker_id(8)}, ok("SELECT 0")),
    case("one", leases.ORPHANS, {"limit": 5}, ok("UPDATE 1", (saga_id(2),))),
    case("no room", leases.ORPHANS, {"limit": 0}, ok("UPDATE 0")),
    case("one", leases.DUE, {"limit": 5}, ok("UPDATE 1", (saga_id(5),))),
    case("overdue", leases.LOOK, {"reap": False}, ok("SELECT 1", (timedelta(0), True, True, False, False, False))),
    case("the dead, too", leases.LOOK, {"reap": True}, ok("SELECT 1", (timedelta(0), True, True, True, True, False))),
    # Wake-ups and alarms.
    case("asleep", sagas.WAKE, {"id": saga_id(5)}, ok("UPDATE 1", ("ready",))),
    case("parked", sagas.WAKE, {"id": saga_id(4)}, ok("UPDATE 1", ("ready",))),
    case("running", sagas.WAKE, {"id": saga_id(1)}, ok("UPDATE 1", ("running",))),
    case("ended", sagas.WAKE, {"id": saga_id(6)}, ok("UPDATE 1", ("completed",))),
    case("none", sagas.WAKE, {"id": saga_id(99)}, ok("UPDATE 0")),
    case("there", sagas.EFFECT_NOW, WHERE, ok("SELECT 1", ("sent", 1, False))),
    case("by hand", sagas.EFFECT_NOW, {**WHERE, "saga": saga_id(3)}, ok("SELECT 1", ("sent", 1, True))),
    case("none", sagas.EFFECT_NOW, {**WHERE, "step": "x"}, ok("SELECT 0")),
    case("ended", sagas.REOPEN, {"id": saga_id(6)}, Seen("UPDATE 1")),
    case("running", sagas.REOPEN, {"id": saga_id(1)}, Seen("UPDATE 0")),
    case("rings", sagas.ALARM, {"id": saga_id(1), "alarm": "x"}, Seen("UPDATE 1")),
    case("none", sagas.ALARM, {"id": saga_id(99), "alarm": "x"}, Seen("UPDATE 0")),
    # Acts and the audit.
    case("there", acts.LOCK, {"id": saga_id(4)},
         ok("SELECT 1", (saga_id(4), NAME, 1, "k4", "parked", "forward", 0, "surplus", "two of them", FAR_AHEAD.replace(year=2030)))),
    case("none", acts.LOCK, {"id": saga_id(99)}, ok("SELECT 0")),
    case("parked", acts.APPLY, {"id": saga_id(4), "revision": 0, "cancel": True}, ok("UPDATE 1", ("ready", 1))),
    case("overtaken", acts.APPLY, {"id": saga_id(4), "revision": 3, "cancel": True}, ok("UPDATE 0")),
    case("parked", acts.ABANDON, {"id": saga_id(4), "revision": 0}, ok("UPDATE 1", ("abandoned", 1))),
    case("owned", acts.ABANDON, {"id": saga_id(1), "revision": 0}, ok("UPDATE 0")),
    case("ended", acts.ACKNOWLEDGE, {"id": saga_id(6), "revision": 0}, ok("UPDATE 1", ("completed", 1))),
    case("the first", audit.APPEND, ENTRY, Seen("INSERT 0 1")),
    case("the same number", audit.APPEND, {**ENTRY, "number": 9}, TAKEN),
    case("nobody", audit.APPEND, {**ENTRY, "who": None}, NULL),
    case("not JSON", audit.APPEND, {**ENTRY, "detail": "{"}, NOT_JSON),
    case("one", audit.LAST, {}, ok("SELECT 1", (FAR_AHEAD.replace(year=2030), 9, "d"))),
    case("one", audit.OF_SAGA, {"id": saga_id(0)}, ok("SELECT 1", tuple({**ENTRY, "number": 9}.values()))),
    case("none", audit.OF_SAGA, {"id": saga_id(1)}, ok("SELECT 0")),
    # Questions and watches.
    case("new", requests.ASK, ASKED, Seen("INSERT 0 1")),
    case("the same id", requests.ASK, {**ASKED, "id": number(6, 9)}, TAKEN),
    case("NUL", requests.ASK, {**ASKED, "who": "\x00"}, NUL),
    case("a hint", requests.HINT, ASKED, ok("SELECT 1", ("",))),
    case("none is over", requests.SWEEP, {}, Seen("DELETE 1")),
    case("one", requests.TAKE, {**SERVED, "limit": 5, "worker": worker_id(0)},
         ok("UPDATE 1", (number(6, 9), saga_id(1), "charge#1", "forward", NAME, 1))),
    case("not served", requests.TAKE, {"names": [], "versions": [], "limit": 5, "worker": worker_id(0)}, ok("UPDATE 0")),
    case("open", requests.ANSWER, {"id": number(6, 9), "answer": "{}"}, Seen("UPDATE 1")),
    case("gone", requests.ANSWER, {"id": number(6, 1), "answer": "{}"}, Seen("UPDATE 0")),
    case("not JSON, gone", requests.ANSWER, {"id": number(6, 1), "answer": "{"}, NOT_JSON),
    case("open", requests.STATE, {"id": number(6, 9)}, ok("SELECT 1", (None, None))),
    case("gone", requests.STATE, {"id": number(6, 1)}, ok("SELECT 0")),
    case("one", watches.TAKE, SERVED, ok("UPDATE 1", (saga_id(2), "charge#1", "forward", NAME, 1, True))),
    case("not served", watches.TAKE, {"names": [], "versions": []}, ok("UPDATE 0")),
    case("there", watches.DROP, {**WHERE, "saga": saga_id(2)}, Seen("DELETE 1")),
    case("gone", watches.DROP, WHERE, Seen("DELETE 0")),
    # Views.
    case("there", views.BY_ID, {"id": saga_id(0)},
         ok("SELECT 1", (saga_id(0), NAME, 1, "k0", "ready", None, None, None, None, None, None, 0, False, False))),
    case("purged", views.BY_ID, {"id": saga_id(8)},
         ok("SELECT 1", (saga_id(8), NAME, 1, "k8", "completed", None, None, None, None, None, None, 0, False, True))),
    case("none", views.BY_ID, {"id": saga_id(99)}, ok("SELECT 0")),
    case("none", views.BY_KEY, {"name": NAME, "key": "free"}, ok("SELECT 0")),
    case("there", witnesses.BY_KEY, {"key": "key 1 charge#1"},
         ok("SELECT 1", (*EFFECT, 1, "charge", NAME, 1, FAR_AHEAD.replace(year=2030)))),
    case("none", witnesses.BY_KEY, {"key": "x"}, ok("SELECT 0")),
    *[case(*one) for one in MOMENT_CASES],
    # Frames.
    case("alone", "COMMIT", {}, Seen("COMMIT")),
    case("alone", "ROLLBACK", {}, Seen("ROLLBACK")),
    case("a limit", "SET LOCAL lock_timeout = 2000", {}, Seen("SET")),
    case("a channel", 'LISTEN "saga_ready_saga"', {}, Seen("LISTEN")),
]  # fmt: skip


async def lay_out(store: Store) -> None:
    """One saga of each state; the owner of the third has no row."""
    await store.put("worker", a_worker(0))
    await store.put("worker", a_worker(1, beat=LONG_AGO))
    await store.put("saga", a_saga(0))
    await store.put("saga", running(1))
    await store.put("saga", running(2, 9))
    await store.put("saga", running(3, cancel_requested=True))
    parked = {"status": "parked", "park_cause": "surplus", "park_reason": "x", "park_detail": "{}"}
    await store.put("saga", a_saga(4, alarm="two of them", **parked))
    await store.put("saga", a_saga(5, status="asleep"))
    await store.put("saga", a_saga(6, status="completed", finished_at=LONG_AGO, alarm="seen"))
    await store.put("saga", a_saga(8, status="completed", finished_at=LONG_AGO, purged_at=LONG_AGO))
    await store.put("effect", an_effect(1))
    await store.put("effect", an_effect(3))
    told = {
        "id": number(4, 9),
        **WHERE,
        "saga_id": saga_id(3),
        "attempt": 1,
        "kind": "statement",
        "at": LONG_AGO,
    }
    told = {**told, "worker": None, "body": '{"by_hand": true}'}
    told.pop("saga")
    await store.put("evidence", told)
    await put_waits(store)
    await store.put("watch", {"saga_id": saga_id(2), "step": "charge#1", "direction": "forward", "asked": 3,
                              "opened_at": LONG_AGO, "next_at": LONG_AGO, "until": LONG_AGO})  # fmt: skip
    asked = {"saga_id": saga_id(1), "step": "charge#1", "direction": "forward", "asked_by": "ann", "asked_at": LONG_AGO,
             "taken_at": None, "taken_by": None, "answered_at": None, "answer": None}  # fmt: skip
    await store.put("request", {**asked, "id": number(6, 9), "expires_at": FAR_AHEAD})
    await store.put("request", {**asked, "id": number(6, 8), "expires_at": LONG_AGO})
    await store.put("audit", {**ENTRY, "number": 9})


async def test_every_case_of_every_statement(store: Store) -> None:
    """Alone in a transaction that is rolled back, so that each case begins where the first one did."""
    await lay_out(store)
    connection = await store.connect()
    wrong: list[str] = []
    for parameters in CASES:
        statement, values, expected = parameters.values
        framing = isinstance(statement, str)
        if not framing:
            await execute(connection, "BEGIN")
        seen = await execute(connection, statement, **values)
        if not framing:
            await execute(connection, "ROLLBACK")
        if seen != expected:
            wrong.append(f"{parameters.id}: {seen} and not {expected}")
    assert wrong == []

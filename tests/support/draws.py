"""What a schedule is made of: statements with values that often mean something, and sometimes do not.

Rules: all chance is the seed's; the model's rows are looked at for what a statement would be given (an epoch, a
revision, an attempt); a statement that takes several rows without an order of its own is given one, because in which
order it locks them is the planner's business.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta

from saga.store import acts, audit, last_good, leases, requests, sagas, starts, views, watches, witnesses
from saga.store import statements as sql
from saga.store.sql import Statement
from saga.testing.store.messages import Block
from tests.support.schedules import Move, Stage
from tests.support.stores import (
    FAR_AHEAD,
    LONG_AGO,
    NAME,
    Values,
    number,
    saga_id,
    session,
    worker_id,
)  # fmt: skip

SAGAS, WORKERS = 6, 2
STEPS = ("charge#1", "charge#1", "ship#1")
Made = tuple[Statement | str, Values]


def draw(chance: random.Random, stage: Stage) -> Move:
    """The next move, of a session that waits for nobody."""
    n = chance.choice(stage.players.free())
    block = session(stage.players.connection(n)).block
    what, values = _framing(chance, block) or Drawn(chance, stage).statement()
    return Move(n, what, tuple(values.items()))


def _framing(chance: random.Random, block: Block) -> Made | None:
    """Transactions last for some statements; an aborted one ends soon."""
    dice = chance.random()
    if block is Block.IDLE:
        return ("BEGIN", {}) if dice < 0.7 else None
    if block is Block.FAILED:
        return ("COMMIT" if dice < 0.5 else "ROLLBACK", {}) if dice < 0.8 else None
    if dice < 0.14:
        return "COMMIT", {}
    return ("ROLLBACK", {}) if dice < 0.18 else None


class Drawn:
    """One statement with its values."""

    def __init__(self, chance: random.Random, stage: Stage) -> None:
        self._chance = chance
        self._tables = stage.model.database.tables

    def statement(self) -> Made:
        """Any, but more often those that write."""
        kinds: list[Callable[[], Made]] = (
            [self._batch] * 8 + [self._lease] * 2 + [self._saga] * 4 + [self._read]
        )
        return self._chance.choice([*kinds, self._act, self._act, self._aside])()

    # What they are about.

    def _row(self, n: int) -> Values:
        """The newest version of a saga, committed or not; {} where there is none."""
        row = self._tables.saga.rows.get(saga_id(n))
        return {} if row is None else ((row.draft or row.committed) or {})

    def _running(self) -> tuple[int, Values]:
        """A saga that somebody owns, if there is one."""
        owned = [n for n in range(SAGAS) if self._row(n).get("owner") is not None]
        n = self._chance.choice(owned or list(range(SAGAS)))
        return n, self._row(n)

    def _effect(self, n: int, step: str, way: str) -> Values:
        row = self._tables.effect.rows.get((saga_id(n), step, way))
        return {} if row is None else ((row.draft or row.committed) or {})

    def _one(self) -> tuple[int, Values]:
        n = self._chance.randrange(SAGAS)
        return n, self._row(n)

    def _mine(self, v: Values) -> Values:
        """Mostly its owner."""
        owner = v.get("owner")
        me = (
            owner
            if owner is not None and self._chance.random() < 0.85
            else worker_id(self._chance.randrange(WORKERS))
        )
        return {"me": me, "lane": 0}

    def _json(self, good: str | None = "{}") -> str | None:
        return good if self._chance.random() < 0.96 else self._chance.choice(["{", "\x00", "\ud800"])

    def _about(self, n: int, v: Values) -> Values:
        """One row for `unnest`: mostly under the claim that holds."""
        epoch = v.get("epoch", 0) + (self._chance.random() < 0.1)
        return {
            **self._mine(v), "saga": [saga_id(n)], "epoch": [epoch], "step": [self._chance.choice(STEPS)],
            "direction": [v.get("direction", "forward") if self._chance.random() < 0.85 else "backward"],
        }  # fmt: skip

    # Statements.

    def _batch(self) -> Made:
        n, v = self._running() if self._chance.random() < 0.8 else self._one()
        about = self._about(n, v)
        step, way = about["step"][0], about["direction"][0]
        attempt = self._effect(n, step, way).get("attempt", 0)
        match self._chance.randrange(8):
            case 0 | 1:
                return sql.FIRST_INTENTS, self._intent(about, 1)
            case 2:
                return sql.NEXT_INTENTS, self._intent(about, attempt + 1)
            case 3:
                return sql.OUTCOMES, self._outcome(about, attempt)
            case 4 | 5:
                return sql.SAGAS, self._move(about, v)
            case 6:
                return sql.WATCHES, {**about, "seconds": [self._chance.choice([5.0, 60.0])]}
            case _:
                return sql.EVIDENCE, self._evidence(about)

    def _intent(self, about: Values, attempt: int) -> Values:
        return {
            **about, "attempt": [attempt], "intent_id": [number(3, self._chance.randrange(1000))], "position": [1],
            "name": ["charge"], "service": ["psp"], "key": [f"key {about['step'][0]}"],
            "request_hash": ["hash" if self._chance.random() < 0.9 else "other"], "arguments": [self._json()],
            "timeout": [5.0], "key_lifetime": [self._chance.choice([None, 60.0])],
        }  # fmt: skip

    def _outcome(self, about: Values, attempt: int) -> Values:
        status = self._chance.choice(["succeeded", "doubt", "idle", "refused"])
        settled = status in {"succeeded", "refused"}
        proof = "reply" if self._chance.random() < 0.9 else None
        return {
            **about, "attempt": [attempt], "status": [status], "result": [self._json("1")], "error": [None],
            "proof": [proof], "by_statement": [False], "completion": [1 if settled else None], "probes": [2],
            "in_doubt": [status == "doubt"], "ended": [True],
        }  # fmt: skip

    def _move(self, about: Values, v: Values) -> Values:
        status = self._chance.choice(["running", "asleep", "ready", "parked", "completed", "compensated"])
        way = "backward" if status == "compensated" else v.get("direction", "forward")
        if status == "running" and self._chance.random() < 0.5:
            way = "backward"
        seen = self._chance.choice([None, v.get("inbox", 0), v.get("inbox", 0), 99])
        wake = self._chance.choice([None, FAR_AHEAD, LONG_AGO + timedelta(days=self._chance.randrange(999))])
        told = {"output": "1" if status == "completed" else None, "error": self._json(None), "degraded": None,
                "plan": "[]" if way == "backward" else None, "park_detail": None,
                "amendment": self._json(None)}  # fmt: skip
        return {
            **about, "direction": [way], "write_id": [number(5, self._chance.randrange(1000))], "seen": [seen],
            "status": [status], "wake_at": [wake], "waiting_for": [None],
            "park_cause": ["in_doubt" if status == "parked" else None], "park_reason": [None],
            "alarm": [self._chance.choice([None, "rings"])], "calm": [self._chance.random() < 0.2],
            "past_pivot": [self._chance.random() < 0.1], **{name: [value] for name, value in told.items()},
        }  # fmt: skip

    def _evidence(self, about: Values) -> Values:
        ids = [number(4, self._chance.randrange(12)) for _ in range(2)]
        kind = "probe" if self._chance.random() < 0.95 else "rumour"
        return {
            "me": about["me"], "id": sorted(ids), "saga": about["saga"] * 2, "step": about["step"] * 2,
            "direction": about["direction"] * 2, "attempt": [1, 1], "kind": [kind, kind],
            "body": [self._json(), "{}"],
        }  # fmt: skip

    def _lease(self) -> Made:
        worker = worker_id(self._chance.randrange(WORKERS))
        rows = self._tables.worker.rows
        row = rows.get((worker, 0))
        batch = ((row.committed or {}) if row is not None else {}).get("batch", 0)
        me = {"me": worker, "lane": 0}
        made: list[Made] = [
            (sql.FENCE, {**me, "batch": batch + self._chance.choice([0, 1, 1, 1, 2])}),
            (sql.BEAT, {**me, "batch": batch + 1, "state": "working"}),
            (sql.LAST_BATCH, me),
            (leases.REGISTER, {"id": worker, "host": "h", "pid": 1, "serves": self._json("[]"), "lanes": 1,
                               "lease": timedelta(hours=1)}),
            (leases.SILENT, {}),
            (leases.LOCK_WORKER, {"id": worker}),
            (leases.LEAVE if self._chance.random() < 0.4 else leases.LOCK_WORKER, {"id": worker}),
            (leases.ORPHANS, {"limit": 10}),
            (leases.DUE, {"limit": 10}),
            (leases.LOOK, {"reap": self._chance.random() < 0.5}),
            (sql.LIMITS, {"ms": "60000"}),
        ]  # fmt: skip
        return self._chance.choice(made)

    def _saga(self) -> Made:
        n, v = self._one()
        me = self._mine(v)
        more = [saga_id(self._chance.randrange(SAGAS)) for _ in range(2)]
        claim = {**me, "room": 10, "names": [NAME], "versions": [1]}
        start = {
            "id": str(saga_id(self._chance.choice([n, 5, 6, 7]))), "name": NAME, "version": 1,
            "key": f"k{self._chance.choice([n, 5, 6])}", "input": self._json("1"), "input_hash": "h",
            "deadline": self._chance.choice([None, 60.0]), "channel": "saga_ready_saga",
        }  # fmt: skip
        made: list[Made] = [
            (sql.CLAIM, claim),
            (sql.CLAIM, claim),
            (sql.LOCK_SAGAS, {**me, "ids": [saga_id(n), *more]}),
            (sql.LOCK_SAGAS, {**me, "ids": [saga_id(n)]}),
            (sagas.WAKE, {"id": saga_id(n)}),
            (sagas.REOPEN, {"id": saga_id(n)}),
            (sagas.ALARM, {"id": saga_id(n), "alarm": "news"}),
            (starts.START, start),
            (starts.START_WITH, {**start, "after": self._chance.choice([None, 3600.0]), "at": None,
                                 "tags": self._chance.choice([None, '{"tenant": "acme"}'])}),
        ]  # fmt: skip
        return self._chance.choice(made)

    def _act(self) -> Made:
        n, v = self._one()
        seen = {"id": saga_id(n), "revision": v.get("revision", 0) + (self._chance.random() < 0.1)}
        entries = [row.draft or row.committed or {} for row in self._tables.audit.rows.values()]
        last = max((entry.get("number", 0) for entry in entries), default=0)
        entry = {
            "number": last + self._chance.choice([0, 1, 1]) or 1, "at": LONG_AGO, "who": "ann", "act": "cancel",
            "saga_id": saga_id(n), "because": "x", "detail": self._json(), "previous": "", "digest": "d",
        }  # fmt: skip
        made: list[Made] = [
            (acts.LOCK, seen),
            (acts.APPLY, {**seen, "cancel": self._chance.random() < 0.5}),
            (acts.ABANDON, seen),
            (acts.ACKNOWLEDGE, seen),
            (audit.LAST, {}),
            (audit.APPEND, entry),
            (audit.APPEND, entry),
            (audit.ALL, {}),
            (audit.OF_SAGA, {"id": saga_id(n)}),
        ]
        return self._chance.choice(made)

    def _aside(self) -> Made:
        n, v = self._one()
        about = self._about(n, v)
        where = {"saga": saga_id(n), "step": about["step"][0], "direction": about["direction"][0]}
        request = number(6, self._chance.randrange(4))
        served = {"names": [NAME], "versions": [1]}
        within = timedelta(hours=self._chance.choice([-1, 1]))
        kept, age = self._chance.choice(["a", "b"]), self._chance.choice([0.0, 7e8])
        value = {
            "hash": [kept],
            "step": ["s"],
            "value": [self._json("1")],
            "age": [age],
            "more": [age - 60.0],
        }
        made: list[Made] = [
            (requests.ASK, {**where, "id": request, "who": "ann", "within": within}),
            (requests.SWEEP, {}),
            (requests.TAKE, {**served, "limit": 10, "worker": worker_id(0)}),
            (requests.ANSWER, {"id": request, "answer": self._json()}),
            (requests.STATE, {"id": request}),
            (requests.HINT, {"channel": "saga_ready_saga"}),
            (watches.TAKE, served),
            (watches.DROP, where),
            (last_good.KEEP, value),
            (last_good.SWEEP, {"limit": 10}),
            (sagas.EFFECT_NOW, where),
        ]
        return self._chance.choice(made)

    def _read(self) -> Made:
        n, v = self._one()
        ids = {"ids": [saga_id(n), saga_id(1)]}
        made: list[Made] = [
            (sql.MINE, self._mine(v)),
            (sql.RELOAD, {**self._mine(v), "id": saga_id(n), "epoch": v.get("epoch", 0)}),
            (sql.EFFECTS_OF, ids),
            (sql.EVIDENCE_OF, ids),
            (sql.SAGA_STATES, {**self._mine(v), **ids}),
            (sql.INTENTS_THERE, {"intents": [number(3, i) for i in range(20)]}),
            (starts.TAKEN, {"name": NAME, "key": f"k{n}"}),
            (views.BY_ID, {"id": saga_id(n)}),
            (views.BY_KEY, {"name": NAME, "key": f"k{n}"}),
            (witnesses.BY_KEY, {"key": "key charge#1"}),
        ]
        return self._chance.choice(made)

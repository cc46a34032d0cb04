"""The tables of `saga.store.schema` as the model keeps them: their CHECKs in Python, and their indexes.

Rules that hold here: a CHECK has the name that it has in the schema, and a test fails when one is missing or its text has
changed; what must not be null is read from the schema itself. The indexes are those that production statements read by.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from saga.core.breaker import State
from saga.core.evidence import EvidenceKind
from saga.core.model import DRAWN, Direction, EffectStatus, MomentKind, ParkCause, SagaStatus
from saga.store.schema import metadata
from saga.testing.store.messages import Values
from saga.testing.store.rows import Ordered, Row, Table

Checks = dict[str, Callable[[Values], object]]

_SAGA_STATUSES = frozenset(s.value for s in SagaStatus)
_DIRECTIONS = frozenset(d.value for d in Direction)
_CAUSES = frozenset(c.value for c in ParkCause) | {None}
_EFFECT_STATUSES = frozenset(s.value for s in EffectStatus)
_DRAWN = frozenset(k.value for k in DRAWN)
_MOMENTS = frozenset(k.value for k in MomentKind)
_SERVICE_STATES = frozenset(s.value for s in State)
_KINDS = frozenset(k.value for k in EvidenceKind)
_ENDED = frozenset({"completed", "compensated", "abandoned"})
_SETTLED = frozenset({"succeeded", "refused", "not_executed", "accepted"})


def _direction_known(v: Values) -> object:
    return v["direction"] in _DIRECTIONS


CHECKS: dict[str, Checks] = {
    "saga": {
        "ck_saga_status_known": lambda v: v["status"] in _SAGA_STATUSES,
        "ck_saga_direction_known": _direction_known,
        "ck_saga_park_cause_known": lambda v: v["park_cause"] in _CAUSES,
        "ck_saga_owner_while_running": lambda v: (v["status"] == "running") is (v["owner"] is not None),
        "ck_saga_lane_with_owner": lambda v: (v["owner"] is None) is (v["lane"] is None),
        "ck_saga_cause_while_parked": lambda v: (v["status"] == "parked") is (v["park_cause"] is not None),
        "ck_saga_plan_while_backward": lambda v: (v["direction"] == "backward") is (v["plan"] is not None),
        "ck_saga_completed_forward": lambda v: v["status"] != "completed" or v["direction"] == "forward",
        "ck_saga_compensated_backward": lambda v: (
            v["status"] != "compensated" or v["direction"] == "backward"
        ),
        "ck_saga_finished_at_end": lambda v: (v["status"] in _ENDED) is (v["finished_at"] is not None),
        "ck_saga_purged_after_end": lambda v: v["purged_at"] is None or v["finished_at"] is not None,
    },
    "effect": {
        "ck_effect_status_known": lambda v: v["status"] in _EFFECT_STATUSES,
        "ck_effect_direction_known": _direction_known,
        "ck_effect_attempt_counts_from_one": lambda v: v["attempt"] >= 1,
        "ck_effect_completion_when_settled": lambda v: (
            (v["status"] in _SETTLED) is (v["completion"] is not None)
        ),
        "ck_effect_doubt_has_begun": lambda v: v["status"] != "doubt" or v["doubt_since"] is not None,
        "ck_effect_success_has_proof": lambda v: v["status"] != "succeeded" or v["proof"] is not None,
    },
    "evidence": {
        "ck_evidence_kind_known": lambda v: v["kind"] in _KINDS,
        "ck_evidence_direction_known": _direction_known,
    },
    "tag": {},
    "moment": {
        "ck_moment_kind_known": lambda v: v["kind"] in _MOMENTS,
        "ck_moment_value_when_drawn": lambda v: (v["kind"] in _DRAWN) is (v["value"] is not None),
        "ck_moment_sleep_is_due": lambda v: v["kind"] != "sleep" or v["due_at"] is not None,
        "ck_moment_signal_when_ended": lambda v: (
            v["signal"] is None or (v["kind"] == "signal" and v["completion"] is not None)
        ),
        "ck_moment_completion_when_ended": lambda v: (v["completion"] is None) is (v["ended_at"] is None),
    },
    "signal": {},
    "watch": {"ck_watch_direction_known": _direction_known},
    "worker": {"ck_worker_state_known": lambda v: v["state"] in {"working", "draining"}},
    "service": {
        "ck_service_state_known": lambda v: v["state"] in _SERVICE_STATES,
        "ck_service_hold_has_a_reason": lambda v: (v["held_by"] is None) is (v["held_because"] is None),
        "ck_service_next_while_not_closed": lambda v: v["state"] == "closed" or v["next_at"] is not None,
    },
    "request": {},
    "audit": {},
    "setting": {},
    "last_good": {},
}

_SCHEMA = metadata()


def _made(kind: type[Table], name: str) -> Any:
    table = _SCHEMA.tables[f"saga.{name}"]
    key = tuple(column.name for column in table.primary_key.columns)
    required = tuple(column.name for column in table.columns if not column.nullable)
    return kind(name, key, required, CHECKS[name])


class SagaTable(Table):
    """Sagas: by name and key, by when they are due, by owner."""

    by_key: dict[tuple[str, str], Row]

    def __init__(self, *of: Any) -> None:
        super().__init__(*of)
        self.by_key = {}
        self.ready = Ordered()
        self.asleep = Ordered()
        self.running: dict[UUID, dict[Row, None]] = {}

    def entered(self, row: Row, values: Values) -> None:
        """A key is taken from its insert on, committed or not."""
        self.by_key[values["name"], values["key"]] = row

    def left(self, row: Row, values: Values) -> None:
        """The insert was rolled back, or lost."""
        del row
        self.by_key.pop((values["name"], values["key"]), None)

    def wrote(self, row: Row, values: Values) -> None:
        """Where a claim, the mover and the reaper look."""
        status = values["status"]
        if status == "ready":
            self.ready.add(values["wake_at"], row, values)
        elif status == "asleep":
            self.asleep.add(values["wake_at"], row, values)
        elif status == "running":
            self.running.setdefault(values["owner"], {})[row] = None

    def changed(self, row: Row, before: Values | None, after: Values | None) -> None:
        """An owner that has let go of it has it no more."""
        owner = None if before is None else before["owner"]
        if owner is not None and (after is None or after["owner"] != owner):
            owned = self.running.get(owner, {})
            owned.pop(row, None)
            if not owned:
                self.running.pop(owner, None)


class EffectTable(Table):
    """Effects: by saga, by idempotency key, by intent."""

    def __init__(self, *of: Any) -> None:
        super().__init__(*of)
        self.by_saga: dict[UUID, list[Row]] = {}
        self.by_key: dict[str, list[Row]] = {}
        self.by_intent: dict[UUID, Row] = {}

    def entered(self, row: Row, values: Values) -> None:
        """Neither its saga nor its key ever changes."""
        self.by_saga.setdefault(values["saga_id"], []).append(row)
        self.by_key.setdefault(values["key"], []).append(row)

    def left(self, row: Row, values: Values) -> None:
        """The insert was rolled back, or lost."""
        self.by_saga[values["saga_id"]].remove(row)
        self.by_key[values["key"]].remove(row)

    def wrote(self, row: Row, values: Values) -> None:
        """An intent's id points here for good; whoever reads by it looks whether it is still the newest."""
        self.by_intent[values["intent_id"]] = row


class OfSagaTable(Table):
    """Evidence, moments, signals: by saga."""

    def __init__(self, *of: Any) -> None:
        super().__init__(*of)
        self.by_saga: dict[UUID, list[Row]] = {}

    def entered(self, row: Row, values: Values) -> None:
        """Its saga never changes."""
        self.by_saga.setdefault(values["saga_id"], []).append(row)

    def left(self, row: Row, values: Values) -> None:
        """The insert was rolled back, or lost."""
        self.by_saga[values["saga_id"]].remove(row)


class WatchTable(Table):
    """Watches: by their next probe."""

    def __init__(self, *of: Any) -> None:
        super().__init__(*of)
        self.next = Ordered()

    def wrote(self, row: Row, values: Values) -> None:
        """Where the watches that are due are taken."""
        self.next.add(values["next_at"], row, values)


class Tables:
    """All tables of one schema."""

    def __init__(self) -> None:
        self.saga: SagaTable = _made(SagaTable, "saga")
        self.tag: Table = _made(Table, "tag")
        self.effect: EffectTable = _made(EffectTable, "effect")
        self.evidence: OfSagaTable = _made(OfSagaTable, "evidence")
        self.moment: OfSagaTable = _made(OfSagaTable, "moment")
        self.signal: OfSagaTable = _made(OfSagaTable, "signal")
        self.watch: WatchTable = _made(WatchTable, "watch")
        self.worker: Table = _made(Table, "worker")
        self.service: Table = _made(Table, "service")
        self.request: Table = _made(Table, "request")
        self.audit: Table = _made(Table, "audit")
        self.setting: Table = _made(Table, "setting")
        self.last_good: Table = _made(Table, "last_good")

    def every(self) -> list[Table]:
        """In the order of the schema."""
        return [self.saga, self.tag, self.effect, self.evidence, self.moment, self.signal, self.watch, self.worker,
                self.service, self.request, self.audit, self.setting, self.last_good]  # fmt: skip

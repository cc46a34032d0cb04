"""Moments: what a saga function was given that no service did, as a batch writes them and a claim loads them.

Rules that hold here: a moment is inserted once and ends at most once, and both only while the claim holds; when a sleep
ends is decided by the database when it is inserted, and never again; what is drawn (a time, an id, a number) has its value from then on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from saga.core.model import MomentKind
from saga.store.sql import Statement

_HELD = (
    " JOIN {s}.saga s ON s.id = u.saga_id AND s.owner = %(me)s AND s.lane = %(lane)s AND s.epoch = u.epoch"
)

MOMENTS = Statement(
    "moments",
    "Inserts moments of sagas that this batch has locked. Zero rows: the claim is lost.",
    "INSERT INTO {s}.moment (saga_id, step, kind, position, due_at, value)"
    " SELECT u.saga_id, u.step, u.kind, u.position, now() + make_interval(secs => u.seconds), u.value::json"
    " FROM unnest(%(saga)s::uuid[], %(epoch)s::bigint[], %(step)s::text[], %(kind)s::text[], %(position)s::int[],"
    " %(seconds)s::float8[], %(value)s::text[]) AS u(saga_id, epoch, step, kind, position, seconds, value)"
    + _HELD
    + " ON CONFLICT (saga_id, step) DO NOTHING",
)
MOMENT_ENDS = Statement(
    "moment_ends",
    "Updates moments of sagas that this batch has locked; one that has ended stays as it is, and no signal is"
    " taken twice. Zero rows: the claim is lost.",
    "UPDATE {s}.moment m SET completion = u.completion, signal = u.signal, ended_at = now()"
    " FROM unnest(%(saga)s::uuid[], %(epoch)s::bigint[], %(step)s::text[], %(completion)s::int[],"
    " %(signal)s::uuid[]) AS u(saga_id, epoch, step, completion, signal)"
    + _HELD
    + " WHERE m.saga_id = u.saga_id AND m.step = u.step AND m.completion IS NULL",
)
MOMENTS_OF = Statement(
    "moments_of",
    "Locks nothing. Zero rows: the functions of these sagas have called services only.",
    "SELECT saga_id, step, kind, position, made_at, due_at, signal, value, completion, ended_at FROM {s}.moment"
    " WHERE saga_id = ANY(%(ids)s) ORDER BY position",
)


@dataclass(slots=True)
class MomentRow:
    """One recorded moment, in the order of the statement's columns."""

    saga_id: UUID
    step: str
    kind: MomentKind
    position: int
    made_at: datetime
    due_at: datetime | None
    signal: UUID | None
    value: str | None
    completion: int | None
    ended_at: datetime | None

    def __post_init__(self) -> None:
        """Words become members: an unknown one is an error here and not later."""
        self.kind = MomentKind(self.kind)

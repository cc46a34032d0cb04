"""What a saga asks the journal to write: one `Unit` a turn, all of it or nothing.

Rules that hold here: values are encoded and checked before they come here; a unit carries the epoch of the
claim under which it was made, and is written only while that claim holds; times are left to the database.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from saga.core.evidence import EvidenceKind
from saga.core.model import Direction, EffectStatus, MomentKind, ParkCause, SagaStatus


@dataclass(frozen=True, slots=True)
class Intent:
    """An attempt that is about to be sent (S5). `timeout` and `key_lifetime` in seconds."""

    step: str
    direction: Direction
    attempt: int
    intent_id: UUID
    position: int
    name: str
    service: str
    key: str
    request_hash: str
    arguments: str
    timeout: float
    key_lifetime: float | None


@dataclass(frozen=True, slots=True)
class OutcomeWrite:
    """Where an effect stands after an observation. `ended`: the newest attempt has come to its end."""

    step: str
    direction: Direction
    attempt: int
    status: EffectStatus
    ended: bool
    result: str | None = None
    error: str | None = None
    proof: str | None = None
    by_statement: bool = False
    completion: int | None = None
    in_doubt: bool = False
    probes: int = 0


@dataclass(frozen=True, slots=True)
class EvidenceWrite:
    """One observation to be kept. The id is the writer's own, so that a second write changes nothing."""

    id: UUID
    step: str
    direction: Direction
    attempt: int
    kind: EvidenceKind
    body: str


@dataclass(frozen=True, slots=True)
class WatchWrite:
    """A late watch is opened (S16). `seconds`: for how long from now."""

    step: str
    direction: Direction
    seconds: float


@dataclass(frozen=True, slots=True)
class MomentWrite:
    """A moment that is new. seconds: from this commit until it is due; None: never. value: JSON text of what is drawn."""

    step: str
    kind: MomentKind
    position: int
    seconds: float | None = None
    value: str | None = None


@dataclass(frozen=True, slots=True)
class MomentEnd:
    """A moment that has ended. signal: the one that a wait for a signal took; None: none came in time."""

    step: str
    completion: int
    signal: UUID | None = None


@dataclass(frozen=True, slots=True)
class SagaWrite:
    """Where the saga goes. `seen`: written only if the inbox still stands there; None: in any case.

    amendment: JSON of what is still to be undone of a saga that has come to its end; it is cleared with an
    end. calm: the alarm is over. past_pivot: a cancel or a deadline came too late, and is taken back (S30).
    """

    status: SagaStatus
    direction: Direction
    seen: int | None
    wake_at: datetime | None = None
    waiting_for: str | None = None
    output: str | None = None
    error: str | None = None
    degraded: str | None = None
    plan: str | None = None
    park_cause: ParkCause | None = None
    park_reason: str | None = None
    park_detail: str | None = None
    alarm: str | None = None
    amendment: str | None = None
    calm: bool = False
    past_pivot: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a unit. Times: `now` the database's at the commit's begin, `boot` ours before it.

    held: the claim still held. moved: the saga's own row was written. intents: the steps whose intents
    were taken. inbox, cancel_requested: as the database has them now.
    """

    held: bool
    moved: bool
    intents: frozenset[tuple[str, Direction]]
    inbox: int
    cancel_requested: bool
    now: datetime
    boot: float


@dataclass(slots=True, eq=False)
class Unit:
    """All that one saga writes in one turn. write_id: by which a write of the saga's own row is known again (S6)."""

    saga_id: UUID
    epoch: int
    write_id: UUID | None
    done: asyncio.Future[Written]
    intents: list[Intent] = field(default_factory=list[Intent])
    outcomes: list[OutcomeWrite] = field(default_factory=list[OutcomeWrite])
    evidence: list[EvidenceWrite] = field(default_factory=list[EvidenceWrite])
    watches: list[WatchWrite] = field(default_factory=list[WatchWrite])
    saga: SagaWrite | None = None
    moments: list[MomentWrite] = field(default_factory=list[MomentWrite])
    moment_ends: list[MomentEnd] = field(default_factory=list[MomentEnd])

    def touches(self) -> set[tuple[str, str, Direction]]:
        """What this unit writes of the saga's effects and moments, and how: two units of one batch never share one (fold)."""
        rows = {("intent", intent.step, intent.direction) for intent in self.intents}
        rows |= {("outcome", outcome.step, outcome.direction) for outcome in self.outcomes}
        rows |= {("moment", moment.step, Direction.FORWARD) for moment in self.moments}
        return rows | {("moment end", moment.step, Direction.FORWARD) for moment in self.moment_ends}


class DeclaredDead(Exception):
    """The worker's row is gone: another worker may own its sagas. Stop all work, send nothing."""


class NotStorable(Exception):
    """Postgres refused a value of this unit (SQLSTATE class 22 or 23), and of no other."""

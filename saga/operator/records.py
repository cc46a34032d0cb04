"""What an operator's methods hand back, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from saga.core.model import Direction
from saga.store.acts import Acted
from saga.store.queries import SagaLine


@dataclass(frozen=True, slots=True)
class Why:
    """Why a saga does not move, what would settle it, and what happens next, when (S40)."""

    saga: SagaLine
    sentence: str


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """What a service said of an effect. answer: "landed", "refused", "not_found", "pending", "fenced", "no_answer".

    phase: "quiet" when every request under the key must have landed before (S16), else "early".
    """

    step: str
    direction: Direction
    answer: str
    phase: str
    result: Any
    reason: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What undoing a saga would do. settle: effects that must be settled first. undo: in this order.

    certain: False when the definitions are not here, so that a step without a compensation may be among them.
    """

    settle: tuple[str, ...]
    undo: tuple[str, ...]
    certain: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """What an act would do to one saga. refused: why it must not be, or None. plan: for acts that undo."""

    saga: SagaLine
    sentence: str
    refused: str | None = None
    plan: Plan | None = None


@dataclass(frozen=True, slots=True)
class Resolution:
    """What came of a statement. acted: None when the service's own answer settled it first. answer: None: not asked."""

    step: str
    direction: Direction
    acted: Acted | None
    answer: ProbeAnswer | None

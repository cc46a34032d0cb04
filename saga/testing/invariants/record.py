"""What a run has left: the ledger, the rows, and what customers were shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from saga.core.model import Direction, EffectStatus, SagaStatus
from saga.core.promises import Kind, Policy, Promises
from saga.definition import SagaDefinition
from saga.steps import Step
from saga.testing.simulation.ledger import Action, Entry, Ledger, Sent


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken. saga: its business key, or nothing where it is about the whole run."""

    invariant: str
    saga: str
    says: str

    def __str__(self) -> str:
        """As it is printed."""
        return f"{self.invariant} {self.saga}: {self.says}"


@dataclass(frozen=True, slots=True)
class Shown:
    """What a customer was shown, and how many lines the ledger had then."""

    at: float
    saga: str
    status: str
    lines: int


@dataclass(frozen=True, slots=True)
class EffectClaim:
    """What the engine's row says of one effect. doubted_for: seconds, until the saga's row was last written.

    intended_at: when its newest attempt was made durable, by the database's clock.
    """

    step: str
    name: str
    direction: Direction
    status: EffectStatus
    attempt: int
    probes: int
    by_statement: bool
    position: int
    doubted_for: float | None
    intended_at: datetime


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A cancel that an operator was told is requested. at: by the database's clock, when they were told."""

    saga: str
    at: datetime


@dataclass(frozen=True, slots=True)
class SentSignal:
    """A signal that its sender was told is sent. at: by the database's clock, when they were told."""

    saga: str
    name: str
    payload: str
    at: datetime


@dataclass(frozen=True, slots=True)
class MomentClaim:
    """What the engine's row says of one moment, by the database's clock."""

    step: str
    kind: str
    signal: object
    due_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Pause:
    """What lies between two requests of a saga: `before` leaves at least `seconds` after `behind` has landed."""

    behind: str
    before: str
    seconds: float


@dataclass(frozen=True, slots=True)
class SagaClaim:
    """What the engine's rows say of one saga."""

    key: str
    definition: SagaDefinition[Any, Any]
    status: SagaStatus
    direction: Direction
    park_cause: str | None
    alarm: str | None
    effects: tuple[EffectClaim, ...]
    moments: tuple[MomentClaim, ...] = ()

    def step(self, effect: EffectClaim) -> Step[..., Any]:
        """The step's declaration."""
        return self.definition.steps[effect.name]


@dataclass
class Record:
    """All of one run. expects: by saga, the steps that must stand when it has completed, where that is known.

    honest: that every service kept its promises, so that nothing landed late. misled: of which an operator stated what
    is not so; told: of which the truth came later. intrusions: writes and sends of whoever had no right to. pauses: by
    saga, how far apart its requests must be. signals: what was sent.
    uninvited: requests to services that were open.
    """

    ledger: Ledger
    sagas: list[SagaClaim]
    shown: list[Shown]
    started: dict[str, frozenset[str] | None]
    rested: bool
    honest: bool = True
    texts: Callable[[], Iterator[str]] = field(default=lambda: iter(()))
    canary: str | None = None
    chain_faults: list[str] = field(default_factory=list[str])
    failures: list[str] = field(default_factory=list[str])
    unrest: list[str] = field(default_factory=list[str])
    misled: frozenset[str] = frozenset()
    told: frozenset[str] = frozenset()
    cancelled: list[Cancelled] = field(default_factory=list[Cancelled])
    intrusions: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    signals: list[SentSignal] = field(default_factory=list[SentSignal])
    pauses: dict[str, tuple[Pause, ...]] = field(default_factory=dict[str, tuple[Pause, ...]])
    uninvited: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    @cached_property
    def lines(self) -> dict[str, list[Entry]]:
        """The ledger by saga."""
        return self.ledger.by_saga()

    @cached_property
    def _numbered(self) -> dict[str, list[tuple[int, Entry]]]:
        found: dict[str, list[tuple[int, Entry]]] = {}
        for number, entry in enumerate(self.ledger.entries):
            found.setdefault(entry.named.saga, []).append((number, entry))
        return found

    @cached_property
    def sent(self) -> dict[str, list[Sent]]:
        """The requests that left, by saga."""
        found: dict[str, list[Sent]] = {}
        for sent in self.ledger.sent:
            found.setdefault(sent.named.saga, []).append(sent)
        return found

    def net(self, saga: str, lines: int | None = None) -> dict[str, int]:
        """What stands of each step: applied less undone, in the first `lines` lines of the ledger, or in all."""
        found: dict[str, int] = {}
        for number, entry in self._numbered.get(saga, []):
            if lines is not None and number >= lines:
                break
            if entry.action is Action.APPLIED:
                found[entry.named.step] = found.get(entry.named.step, 0) + 1
            elif entry.action is Action.UNDONE:
                found[entry.named.step] = found.get(entry.named.step, 0) - 1
        return found

    @cached_property
    def claims(self) -> dict[str, SagaClaim]:
        """The sagas by key."""
        return {s.key: s for s in self.sagas}

    def policy(self, saga: str, step: str) -> Policy | None:
        """How a step is declared, by the identity of its effect."""
        found = self.declared(saga, step)
        return None if found is None else found.policy

    def promises(self, saga: str, step: str) -> Promises | None:
        """What its service promises."""
        found = self.declared(saga, step)
        return None if found is None else found.service.promises

    def declared(self, saga: str, identity: str) -> Step[..., Any] | None:
        """The step behind an identity such as "2/charge#1"."""
        claim = self.claims.get(saga)
        name = identity.rpartition("/")[2].partition("#")[0]
        return None if claim is None else claim.definition.steps.get(name)

    def exact(self, saga: str, step: str) -> bool:
        """Whether a duplicate of this step is a defect, and its end is counted."""
        policy = self.policy(saga, step)
        return policy is None or policy.kind is Kind.EFFECT

    def stands(self, saga: str, step: str) -> bool:
        """Whether this step stays when the saga is undone, by its declaration: nothing to undo."""
        found = self.declared(saga, step)
        return found is not None and found.compensation is None

"""One effect in a worker's memory: what was observed, and the facts that the rules read.

Rules that hold here: evidence is only appended; a row without an outcome that another claim left is *lost*
(S9); an observation that is not yet in the database waits in `unsaved`, and goes with the next write; a first
attempt that succeeded needs no evidence of its own, its row says it.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from saga import errors
from saga.core.evidence import Evidence, Intended, Lost, Probed, Replied, StatedLanded, encode
from saga.core.facts import EffectFacts
from saga.core.model import (
    SETTLED,
    Direction,
    EffectStatus,
    NotExecuted,
    Outcome,
    ParkCause,
    Refused,
    Succeeded,
)  # fmt: skip
from saga.core.promises import Policy
from saga.core.verdict import STATEMENT, UNSTORABLE, Basis, Verdict, left_behind, verdict
from saga.ids import uuid7
from saga.ports import random_share
from saga.steps import Compensation, Step
from saga.store.changes import EvidenceWrite, OutcomeWrite, WatchWrite
from saga.store.last_good import Kept
from saga.store.sagas import EffectRow
from saga_worker import failures
from saga_worker.clocks import Clocks

Handlers = Step[..., Any] | Compensation[Any, ...]


@dataclass(frozen=True, slots=True)
class Parking:
    """Why the saga must wait for a person."""

    cause: ParkCause
    reason: str
    detail: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """That the call keeps what it is given, and may be given what was kept. hash: under what (`saga.core.keys`)."""

    hash: str
    max_age: timedelta


@dataclass(frozen=True, slots=True)
class Stands:
    """How a service does. let_alone: it is open or held. let_in_since: when it was closed again; None: never."""

    let_alone: bool = False
    let_in_since: datetime | None = None


CLOSED = Stands()


@dataclass(slots=True, eq=False)
class LiveEffect:
    """One effect of a saga that is in memory. Times are the database's, `quiet_boot` ours.

    handlers: the step, or the compensation that undoes it. arguments: decoded. undoes: in a compensation
    the result and key of what it undoes. parked: why it needs a person. token, bodies: under which name, and where,
    bodies that have not returned are counted (S11); the count outlives one claim of the saga.
    unwritten: settled, and the database does not know yet.
    late: it landed after it was settled otherwise. silent: settled by silence, a watch is to be opened.
    surplus: further effects under its key. untold: a reply that no commit of ours has carried yet.
    held: the service that it waits for.
    wish: what its call wants of last good values. stand_in: the one that takes the place of its failure, recorded with it.
    """

    identity: str
    direction: Direction
    position: int
    handlers: Handlers
    key: str
    request_hash: str
    arguments_text: str
    arguments: dict[str, Any]
    undoes: tuple[Any, str] | None = None
    evidence: list[Evidence] = field(default_factory=list[Evidence])
    unsaved: list[Evidence] = field(default_factory=list[Evidence])
    status: EffectStatus = EffectStatus.SENT
    attempt: int = 0
    in_flight: int = 0
    token: str = ""
    bodies: Counter[str] = field(default_factory=Counter[str])
    first_intent: datetime | None = None
    deadline: datetime | None = None
    quiet_boot: float = 0.0
    key_expires: datetime | None = None
    ended: datetime | None = None
    doubt_since: datetime | None = None
    completion: int | None = None
    outcome: Outcome | None = None
    by_statement: bool = False
    late: Succeeded | None = None
    silent: bool = False
    surplus: tuple[str, ...] = ()
    parked: Parking | None = None
    unwanted: bool = False
    waiting_until: datetime | None = None
    held: str | None = None
    unwritten: bool = False
    untold: Replied | None = None
    wish: Wish | None = None
    looked_up: bool = False
    stand_in: Kept | None = None
    jitter: float = field(default_factory=random_share)
    step: Step[..., Any] = field(init=False)
    policy: Policy = field(init=False)

    def __post_init__(self) -> None:
        """The step that it belongs to, and how it is sent and settled."""
        self.step = self.handlers.step if isinstance(self.handlers, Compensation) else self.handlers
        self.policy = self.handlers.policy

    @property
    def open(self) -> bool:
        """Whether a body of it is still running in this worker, past its budget."""
        return self.bodies[self.token] > 0

    @property
    def settled(self) -> bool:
        """Whether its status is final."""
        return self.status in SETTLED

    @property
    def unstorable(self) -> bool:
        """Whether it landed with a result that could not be kept."""
        return isinstance(self.outcome, Succeeded) and self.outcome.rule == UNSTORABLE

    def facts(self, clocks: Clocks, stands: Stands = CLOSED) -> EffectFacts:
        """What the rules read, at this moment. stands: how its service does, where that matters."""
        quiet = None
        if self.deadline is not None and not self.open:
            quiet = self.deadline + self.step.service.promises.quiet_after
            left = self.quiet_boot - clocks.boot()
            if left > 0:  # both clocks must have passed (S16)
                quiet = max(quiet, clocks.now() + timedelta(seconds=left))
        return EffectFacts(
            direction=self.direction,
            promises=self.step.service.promises,
            policy=self.policy,
            evidence=tuple(self.evidence),
            in_flight=self.in_flight,
            first_intent=self.first_intent,
            quiet_from=quiet,
            key_expires=self.key_expires,
            doubt_since=self.doubt_since,
            ended=self.ended,
            let_alone=stands.let_alone,
            let_in_since=stands.let_in_since,
        )

    def facts_outcome(self) -> Outcome:
        """What the evidence proves at this moment."""
        return verdict(self.evidence, self.step.service.promises, self.policy).outcome

    def named(self) -> dict[str, str]:
        """Which effect it is, for the detail of a parking."""
        return {"step": self.identity, "direction": self.direction.value, "service": self.step.service.name}

    def observe(self, *seen: Evidence) -> None:
        """Something was seen: it counts from now on, and is to be written."""
        self.evidence += seen
        self.unsaved += seen
        self.jitter = random_share()

    def intended(self, attempt: int, now: datetime, boot: float) -> None:
        """The intent of `attempt` is durable: its clock runs since `boot`."""
        budget = self.policy.timeout
        promises = self.step.service.promises
        self.attempt = attempt
        self.status = EffectStatus.SENT
        self.first_intent = self.first_intent or now
        self.deadline = max(self.deadline or now, now + budget)
        self.quiet_boot = max(self.quiet_boot, boot + (budget + promises.quiet_after).total_seconds())
        self.ended = None
        if self.key_expires is None and promises.dedups and promises.key_lifetime is not None:
            self.key_expires = now + promises.key_lifetime
        self.observe(Intended(attempt, now, now + budget))

    def conclude(self, verdict: Verdict) -> None:
        """The effect is out of doubt."""
        outcome = verdict.outcome
        self.outcome = outcome
        self.unwritten = True
        self.by_statement = verdict.basis is Basis.STATEMENT
        passed_over = left_behind(self.evidence, self.step.service.promises, self.policy)
        self.silent = verdict.basis is Basis.SILENCE or passed_over
        self.surplus = verdict.surplus
        match outcome:
            case Succeeded():
                self.status = EffectStatus.SUCCEEDED
            case Refused():
                self.status = EffectStatus.REFUSED
            case _:
                self.status = EffectStatus.NOT_EXECUTED

    def failure(self) -> errors.StepFailed:
        """What the saga function is told of an effect that did not happen."""
        match self.outcome:
            case Refused(code, message, rule):
                return errors.Refused(code, message, rule=rule)
            case NotExecuted(reason, rule, retry_after):
                return errors.NotExecuted(reason, retry_after, rule=rule)
            case _:
                raise AssertionError(f"{self.identity} did not fail: {self.outcome}")

    def result(self) -> Any:
        """The result, typed. Raises ValueError when its type has changed since it was stored."""
        if not isinstance(self.outcome, Succeeded):
            return None  # an accepted doubt
        return self.step.decode_result(self.outcome.result)

    def write(self) -> OutcomeWrite:
        """Where it stands, for the database."""
        success = self.outcome if isinstance(self.outcome, Succeeded) else None
        return OutcomeWrite(
            step=self.identity,
            direction=self.direction,
            attempt=self.attempt,
            status=self.status,
            ended=True,
            result=None if success is None else success.result,
            error=failures.text_of(self.outcome, self.stand_in),
            proof=getattr(self.outcome, "rule", None),
            by_statement=self.by_statement,
            completion=self.completion,
            in_doubt=self.status in {EffectStatus.DOUBT, EffectStatus.ACCEPTED},
            probes=sum(isinstance(e, Probed) for e in self.evidence),
        )

    def take_watch(self) -> WatchWrite | None:
        """The late watch that opens, if it was settled by silence (S16)."""
        if not self.silent or self.deadline is None:
            return None
        self.silent = False
        until = self.policy.watch_for
        if until is None and self.key_expires is not None:
            until = self.key_expires - self.deadline  # which a lost attempt has, too; its end nobody saw
        seconds = 0.0 if until is None else until.total_seconds()
        return WatchWrite(self.identity, self.direction, seconds) if seconds > 0 else None

    def take_evidence(self) -> list[EvidenceWrite]:
        """What is to be kept of the unsaved; a first attempt that simply succeeded keeps nothing."""
        seen, self.unsaved = self.unsaved, []
        match seen:
            case [Intended(attempt=1), Replied(attempt=1, outcome=Succeeded(rule=rule))] if (
                rule != UNSTORABLE
            ):
                return []
            case [Intended(attempt=1)]:
                self.unsaved = seen  # its row says it, until there is more to say
                return []
            case _:
                return [self.evidence_write(e) for e in seen]

    def evidence_write(self, seen: Evidence) -> EvidenceWrite:
        """One observation as it is stored."""
        kind, attempt, body = encode(seen)
        return EvidenceWrite(uuid7(), self.identity, self.direction, attempt, kind, json.dumps(body))


def from_row(row: EffectRow, seen: list[Evidence], handlers: Handlers, clocks: Clocks) -> LiveEffect:
    """The effect as another life of a worker, or an earlier claim, left it.

    Raises:
        ValueError: its arguments no longer fit the step's types.
    """
    step = handlers.step if isinstance(handlers, Compensation) else handlers
    effect = LiveEffect(
        row.step, row.direction, row.position, handlers, row.key, row.request_hash, row.arguments,
        step.decode_arguments(row.arguments), evidence=list(seen), status=row.status, attempt=row.attempt,
        first_intent=row.first_intent_at, deadline=row.deadline_at, key_expires=row.key_expires_at,
        ended=row.ended_at, doubt_since=row.doubt_since, completion=row.completion, by_statement=row.by_statement,
    )  # fmt: skip
    landing = effect.policy.timeout + step.service.promises.quiet_after
    left = (row.deadline_at + step.service.promises.quiet_after - clocks.now()).total_seconds()
    # The database's clock may have jumped since the intent: what we have not seen pass ourselves, we wait for (S16).
    left = max(left, landing.total_seconds() - clocks.passed_since(row.intent_at))
    effect.quiet_boot = clocks.boot() + left
    if row.status is EffectStatus.SENT:
        effect.observe(Intended(row.attempt, row.intent_at, row.deadline_at), Lost(row.attempt))
        effect.status = EffectStatus.DOUBT
        effect.doubt_since = effect.doubt_since or clocks.now()
    if effect.settled:
        effect.outcome = failures.outcome_of(row)
        effect.stand_in = failures.stand_in_of(row)
        effect.late = _landed_late(effect)
    refused = effect.status is EffectStatus.REFUSED
    by_hand = refused and any(isinstance(e, StatedLanded) and e.by_hand for e in effect.evidence)
    if effect.unstorable or by_hand:  # an operator may have stated the result, or undone it by hand, since
        effect.conclude(verdict(effect.evidence, step.service.promises, effect.policy))
    return effect


def _landed_late(effect: LiveEffect) -> Succeeded | None:
    """What evidence that came after the end of an effect says: it landed after all (S16, S25).

    What it was settled as stays: the function has been told, and a replay must tell it the same.
    """
    if effect.status not in {EffectStatus.REFUSED, EffectStatus.NOT_EXECUTED}:
        return None
    outcome = effect.facts_outcome()
    return outcome if isinstance(outcome, Succeeded) and outcome.rule != STATEMENT else None

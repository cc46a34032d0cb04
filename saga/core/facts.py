"""What the rules look at: one effect's evidence and times, reduced to a few finite facts.

Rules that hold here: `Facts` is all that the table of `decide` reads, so that every combination can be
printed; a fact is read off the evidence and never kept beside it. Nothing here acts or decides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from saga.core.evidence import (
    Evidence,
    Intended,
    NotFound,
    Pending,
    ProbeAnswer,
    Probed,
    Replied,
    RetryAsked,
    SaidRefused,
)
from saga.core.model import Direction, Hint, NotExecuted, Outcome, Refused, Succeeded, Unknown
from saga.core.promises import InDoubt, Kind, Policy, Promises
from saga.core.verdict import STATEMENT, Verdict, outcomes, verdict


class Stage(StrEnum):
    """What the evidence says of the effect."""

    FRESH = "fresh"
    IN_FLIGHT = "in flight"
    LANDED = "landed"
    REFUSED = "refused"
    CLEAR = "clear"
    DOUBT = "doubt"
    MISMATCH = "mismatch"


class Want(StrEnum):
    """Whether the saga still wants the effect (S14, S15)."""

    WANTED = "wanted"
    UNWANTED = "unwanted"


class Means(StrEnum):
    """What can take the effect out of doubt."""

    FREELY = "resend freely"
    PROBE_AND_KEY = "probe, key"
    PROBE = "probe"
    KEY = "key"
    NOTHING = "nothing"


class Budget(StrEnum):
    """Whether attempts (when clear) or time and probes (in doubt) are left."""

    LEFT = "left"
    SPENT = "spent"


class KeyLife(StrEnum):
    """Whether a send is still inside the key's life (S10)."""

    ALIVE = "alive"
    OVER = "over"


class Asked(StrEnum):
    """What the last probe since the newest attempt said."""

    NOT_YET = "not yet"
    NOTHING = "no answer"
    NOT_FOUND = "not found"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the table looks at."""

    stage: Stage
    want: Want
    direction: Direction
    means: Means
    budget: Budget
    key: KeyLife
    asked: Asked
    in_doubt: InDoubt


@dataclass(frozen=True, slots=True)
class EffectFacts:
    """One effect as the worker holds it. Times are the database's clock.

    doubt_since: when the doubt that has a budget began; an operator's retry begins it anew.
    quiet_from: when every request under the key must have landed; None while a body or a thread of this
    worker has not returned (S11). key_expires: end of the key's life. ended: when the newest attempt came to
    its end. let_alone: the service is open or held, so no budget of time runs. let_in_since: when it was closed again;
    they begin anew with what is done after that (docs/breakers.md).
    """

    direction: Direction
    promises: Promises
    policy: Policy
    evidence: tuple[Evidence, ...] = ()
    in_flight: int = 0
    first_intent: datetime | None = None
    quiet_from: datetime | None = None
    key_expires: datetime | None = None
    doubt_since: datetime | None = None
    ended: datetime | None = None
    let_alone: bool = False
    let_in_since: datetime | None = None
    found: Verdict = field(init=False)
    ends: dict[int, Outcome] = field(init=False, compare=False)
    """What each attempt says of itself."""
    attempts: int = field(init=False, compare=False)
    """How many were intended."""

    def __post_init__(self) -> None:
        """Conclude once: every reader below sees the same verdict."""
        object.__setattr__(self, "found", verdict(self.evidence, self.promises, self.policy))
        object.__setattr__(self, "ends", outcomes(self.evidence))
        object.__setattr__(self, "attempts", max(self.ends, default=0))

    @property
    def counted(self) -> int:
        """How many attempts count against the budget: one that failed while its service was open does not."""
        excused = {e.attempt for e in self.evidence if isinstance(e, Replied) and e.excused}
        return self.attempts - len(excused)

    @property
    def probes(self) -> int:
        """How many probes were asked under the present budget."""
        return len(self._asked())

    def asked_like(self, last: Probed) -> int:
        """How many of them were asked of the same attempt in the same phase (S21)."""
        return sum((seen.attempt, seen.phase) == (last.attempt, last.phase) for seen in self._asked())

    def _asked(self) -> list[Probed]:
        asked: list[Probed] = []
        for item in self.evidence:
            match item:
                case Probed(at=at) if self.let_in_since is None or at >= self.let_in_since:
                    asked.append(item)
                case RetryAsked():
                    asked.clear()  # an operator's retry begins the budget anew
                case _:
                    pass
        return asked

    @property
    def budget_from(self) -> datetime | None:
        """When the present budget began: with the doubt, with an operator's retry, or with the first thing that was done
        after its service was closed again; None: it has not begun yet.
        """
        asked = [e.at for e in self.evidence if isinstance(e, RetryAsked)]
        begun = self.doubt_since
        if self.direction is Direction.BACKWARD and begun is None:
            begun = self.first_intent
        times = asked if begun is None else [*asked, begun]
        start = max(times, default=None)
        if start is None or self.let_in_since is None or start >= self.let_in_since:
            return start
        done = [e.at for e in self.evidence if isinstance(e, Intended | Probed)]
        return min((at for at in done if at >= self.let_in_since), default=None)

    def last_probe(self) -> Probed | None:
        """The newest probe asked since the newest attempt, or None."""
        newest = self.attempts
        probed = [e for e in self.evidence if isinstance(e, Probed) and e.attempt == newest]
        return probed[-1] if probed else None


def facts_of(effect: EffectFacts, want: Want, now: datetime) -> Facts:
    """What the table needs to know of `effect` at `now`."""
    stage = _stage(effect)
    return Facts(
        stage=stage,
        want=want,
        direction=effect.direction,
        means=_means(effect, want),
        budget=_doubt_budget(effect, now) if stage is Stage.DOUBT else _retry_budget(effect, now),
        key=_key_life(effect, now),
        asked=_asked(effect),
        in_doubt=effect.policy.in_doubt,
    )


def _stage(effect: EffectFacts) -> Stage:
    if effect.in_flight:
        return Stage.IN_FLIGHT
    match effect.found.outcome:
        case Succeeded():
            return Stage.LANDED
        case Refused():
            return Stage.REFUSED
        case Unknown():
            return Stage.MISMATCH if _hinted(effect, Hint.MISMATCH) else Stage.DOUBT
        case NotExecuted(rule=rule) if rule == STATEMENT and effect.direction is Direction.FORWARD:
            return Stage.REFUSED  # S37: "never" was stated; what follows is the end of it, not a resend
        case NotExecuted():
            return Stage.CLEAR if effect.attempts else Stage.FRESH


def _hinted(effect: EffectFacts, hint: Hint) -> bool:
    return any(isinstance(outcome, Unknown) and outcome.hint is hint for outcome in effect.ends.values())


def _means(effect: EffectFacts, want: Want) -> Means:
    policy = effect.policy
    if policy.kind is Kind.REPEATABLE and (want is Want.WANTED or not policy.can_probe):
        return Means.FREELY
    # S17: once a later attempt was refused, resending says nothing about the one in doubt. And when the attempts
    # are used up, each further send would only put off the quiet in which a probe can tell (S16).
    newest = effect.ends.get(effect.attempts)
    used_up = effect.direction is Direction.FORWARD and effect.counted >= policy.retry.attempts
    pointless = isinstance(newest, Refused) or _replayed(effect) or (used_up and policy.can_probe)
    resendable = effect.promises.dedups and not pointless
    match (policy.can_probe, resendable):
        case (True, True):
            return Means.PROBE_AND_KEY
        case (True, False):
            return Means.PROBE
        case (False, True):
            return Means.KEY
        case _:
            return Means.NOTHING


def _replayed(effect: EffectFacts) -> bool:
    """Whether the service would only say its stored error again: no send can ever succeed (S20)."""
    return effect.promises.replays_5xx and _hinted(effect, Hint.SERVER_ERROR)


def _retry_budget(effect: EffectFacts, now: datetime) -> Budget:
    if _replayed(effect):
        return Budget.SPENT
    if effect.direction is Direction.BACKWARD:  # S29: no attempt budget; time is its budget
        if effect.let_alone:
            return Budget.LEFT
        start = effect.budget_from
        return _spent(start is not None and now - start > effect.policy.settle_within)
    retry = effect.policy.retry
    over = False
    if retry.give_up is not None and effect.first_intent is not None:
        over = now - effect.first_intent > retry.give_up
    return _spent(over or effect.counted >= retry.attempts)


def _doubt_budget(effect: EffectFacts, now: datetime) -> Budget:
    start = effect.budget_from
    if start is None or effect.let_alone:
        return Budget.LEFT
    last = effect.last_probe()
    if last is not None and isinstance(last.answer, Pending):  # S21: "pending" has a budget of its own
        return _spent(now - start > effect.policy.pending_within)
    spent = now - start > effect.policy.settle_within
    return _spent(spent or effect.probes >= effect.policy.probes)


def _spent(spent: bool) -> Budget:  # noqa: FBT001 - the one place where the condition becomes a fact
    return Budget.SPENT if spent else Budget.LEFT


def _key_life(effect: EffectFacts, now: datetime) -> KeyLife:
    if not effect.promises.dedups or effect.key_expires is None:
        return KeyLife.ALIVE
    landing = now + effect.policy.timeout + effect.promises.lateness
    return KeyLife.ALIVE if landing < effect.key_expires - effect.promises.margin else KeyLife.OVER


def _asked(effect: EffectFacts) -> Asked:
    last = effect.last_probe()
    if last is None:
        return Asked.NOT_YET
    answer: ProbeAnswer = last.answer
    match answer:
        case NotFound() | SaidRefused():
            return Asked.NOT_FOUND
        case Pending():
            return Asked.PENDING
        case _:
            return Asked.NOTHING

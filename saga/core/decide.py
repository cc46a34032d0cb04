"""An effect and the time in, what to do next out: the whole protocol as one table.

`rule` is the table: a match over finite facts, one line a rule, the S-number beside it; `saga.core.table`
prints it for every combination, and the print is committed. `facts_of` reads the facts off an effect;
`decide` adds the timing. Nothing here acts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from saga.core.evidence import (
    Evidence,
    NotFound,
    Pending,
    Phase,
    ProbeAnswer,
    Probed,
    RetryAsked,
    SaidRefused,
)
from saga.core.model import Direction, NotExecuted, Refused, Succeeded, Unknown
from saga.core.promises import InDoubt, Kind, Policy, Promises
from saga.core.retry import backoff
from saga.core.verdict import STATEMENT, Verdict, outcomes, verdict

PROBE_FIRST = timedelta(milliseconds=500)
PROBE_MOST = timedelta(seconds=60)
QUIET_GAP = timedelta(milliseconds=100)
"""The least distance of two quiet reads where the service promises no staleness at all."""


class Stage(StrEnum):
    """What the evidence says of the effect."""

    FRESH = "fresh"
    IN_FLIGHT = "in flight"
    LANDED = "landed"
    REFUSED = "refused"
    CLEAR = "clear"
    DOUBT = "doubt"


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


class Action(StrEnum):
    """What to do; `decide` adds when."""

    SEND = "send"
    PROBE = "probe"
    AWAIT = "await reply"
    SETTLE = "settle"
    ACCEPT = "accept doubt"
    PARK = "park"


class IllegalTransition(Exception):
    """Facts that no rule covers: a bug in the table."""


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


def rule(facts: Facts) -> Action:
    """The action that the rules prescribe. Order matters: the first line that fits."""
    match (facts.stage, facts.want, facts.budget, facts.means, facts.key, facts.asked):
        case (Stage.IN_FLIGHT, _, _, _, _, _):
            return Action.AWAIT  # S31: a call in flight is never aborted
        case (Stage.LANDED | Stage.REFUSED, _, _, _, _, _):
            return Action.SETTLE  # S4
        case (Stage.FRESH, Want.WANTED, _, _, _, _):
            return Action.SEND  # S5
        case (Stage.FRESH, Want.UNWANTED, _, _, _, _):
            return Action.SETTLE  # never sent
        case (Stage.CLEAR, Want.UNWANTED, _, _, _, _):
            return Action.SETTLE
        case (Stage.CLEAR, Want.WANTED, Budget.LEFT, _, KeyLife.ALIVE, _):
            return Action.SEND
        case (Stage.CLEAR, Want.WANTED, _, _, _, _) if facts.direction is Direction.BACKWARD:
            return Action.PARK  # S29: a compensation is never given up as not executed
        case (Stage.CLEAR, Want.WANTED, _, _, _, _):
            return Action.SETTLE
        case (Stage.DOUBT, Want.UNWANTED, _, Means.FREELY | Means.NOTHING | Means.KEY, _, _):
            return _give_up(facts)  # S15: a resend of what is not wanted is nobody's default
        case (Stage.DOUBT, _, Budget.SPENT, _, _, _):
            return _give_up(facts)  # S22
        case (Stage.DOUBT, _, _, Means.NOTHING, _, _):
            return _give_up(facts)  # S24: at most once
        case (Stage.DOUBT, Want.WANTED, _, Means.FREELY, _, _):
            return Action.SEND  # S24: repeatable
        case (Stage.DOUBT, Want.WANTED, _, Means.PROBE_AND_KEY, KeyLife.ALIVE, Asked.NOT_FOUND):
            return Action.SEND  # S14: the first arrival wins, a late one is harmless
        case (Stage.DOUBT, Want.WANTED, _, Means.KEY, KeyLife.ALIVE, _):
            return Action.SEND  # S14
        case (Stage.DOUBT, _, _, Means.KEY, KeyLife.OVER, _):
            return _give_up(facts)  # S10
        case (Stage.DOUBT, _, _, Means.PROBE | Means.PROBE_AND_KEY, _, _):
            return Action.PROBE  # S12, S13, S15, S16, S21
        case _:
            raise IllegalTransition(f"no rule for {facts}")


def _give_up(facts: Facts) -> Action:
    return Action.ACCEPT if facts.in_doubt is InDoubt.ACCEPT else Action.PARK


@dataclass(frozen=True, slots=True)
class EffectFacts:
    """One effect as the worker holds it. Times are the database's clock.

    doubt_since: when the doubt that has a budget began; an operator's retry begins it anew.
    quiet_from: when every request under the key must have landed; None while a body or a thread of this
    worker has not returned (S11). key_expires: end of the key's life. ended: when the newest attempt came to
    its end.
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
    found: Verdict = field(init=False)

    def __post_init__(self) -> None:
        """Conclude once: every reader below sees the same verdict."""
        object.__setattr__(self, "found", verdict(self.evidence, self.promises, self.policy))

    @property
    def attempts(self) -> int:
        """How many attempts were intended."""
        return max(outcomes(self.evidence), default=0)

    @property
    def probes(self) -> int:
        """How many probes were asked under the present budget."""
        asked = 0
        for item in self.evidence:
            match item:
                case Probed():
                    asked += 1
                case RetryAsked():
                    asked = 0
                case _:
                    pass
        return asked

    @property
    def budget_from(self) -> datetime | None:
        """When the present budget began: with the doubt, or with an operator's retry."""
        asked = [e.at for e in self.evidence if isinstance(e, RetryAsked)]
        begun = self.doubt_since
        if self.direction is Direction.BACKWARD and begun is None:
            begun = self.first_intent
        return max([*asked, *([begun] if begun is not None else [])], default=None)

    def last_probe(self) -> Probed | None:
        """The newest probe asked since the newest attempt, or None."""
        newest = self.attempts
        probed = [e for e in self.evidence if isinstance(e, Probed) and e.attempt == newest]
        return probed[-1] if probed else None


@dataclass(frozen=True, slots=True)
class Send:
    """Make attempt `attempt` durable, then send it."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Probe:
    """Ask the service; an answer is worth `phase`."""

    phase: Phase


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing before `until`."""

    until: datetime
    why: str


@dataclass(frozen=True, slots=True)
class AwaitReply:
    """The call is out; its reply or its deadline decides."""


@dataclass(frozen=True, slots=True)
class Settle:
    """The effect is out of doubt."""

    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Accept:
    """Still in doubt, and the step accepts that (S24)."""

    reason: str


@dataclass(frozen=True, slots=True)
class Park:
    """Nothing more can be done without a person (S22)."""

    reason: str


Command = Send | Probe | Wait | AwaitReply | Settle | Accept | Park


def decide(effect: EffectFacts, want: Want, now: datetime, jitter: float) -> Command:
    """What to do next with `effect`; `jitter` is drawn from [0, 1) by the caller."""
    facts = facts_of(effect, want, now)
    match rule(facts):
        case Action.AWAIT:
            return AwaitReply()
        case Action.SETTLE:
            return Settle(effect.found)
        case Action.ACCEPT:
            return Accept(_reason(effect))
        case Action.PARK:
            return Park(_why_park(effect, facts))
        case Action.SEND:
            return _send(effect, now, jitter)
        case Action.PROBE:
            return _probe(effect, now, jitter)


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
            return Stage.DOUBT
        case NotExecuted(rule=rule) if rule == STATEMENT and effect.direction is Direction.FORWARD:
            return Stage.REFUSED  # S37: "never" was stated; what follows is the end of it, not a resend
        case NotExecuted():
            return Stage.CLEAR if effect.attempts else Stage.FRESH


def _means(effect: EffectFacts, want: Want) -> Means:
    policy = effect.policy
    if policy.kind is Kind.REPEATABLE and (want is Want.WANTED or not policy.can_probe):
        return Means.FREELY
    # S17: once a later attempt was refused, resending says nothing about the one in doubt.
    newest = outcomes(effect.evidence).get(effect.attempts)
    resendable = effect.promises.dedups and not isinstance(newest, Refused)
    match (policy.can_probe, resendable):
        case (True, True):
            return Means.PROBE_AND_KEY
        case (True, False):
            return Means.PROBE
        case (False, True):
            return Means.KEY
        case _:
            return Means.NOTHING


def _retry_budget(effect: EffectFacts, now: datetime) -> Budget:
    if effect.direction is Direction.BACKWARD:  # S29: no attempt budget; time is its budget
        start = effect.budget_from
        return _spent(start is not None and now - start > effect.policy.settle_within)
    retry = effect.policy.retry
    over = False
    if retry.give_up is not None and effect.first_intent is not None:
        over = now - effect.first_intent > retry.give_up
    return _spent(over or effect.attempts >= retry.attempts)


def _doubt_budget(effect: EffectFacts, now: datetime) -> Budget:
    start = effect.budget_from
    if start is None:
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


def _send(effect: EffectFacts, now: datetime, jitter: float) -> Command:
    done = effect.attempts
    if done == 0:
        return Send(1)
    if effect.ended is None:
        return Send(done + 1)
    due = effect.ended + effect.policy.retry.delay(done, jitter)
    newest = outcomes(effect.evidence).get(done)
    if isinstance(newest, NotExecuted) and newest.retry_after is not None:
        due = max(due, effect.ended + timedelta(seconds=newest.retry_after))
    if not effect.promises.dedups and effect.policy.kind is Kind.EFFECT and effect.quiet_from is not None:
        due = max(due, effect.quiet_from)  # S33: nothing dedups, so the old call must be over
    return Send(done + 1) if due <= now else Wait(due, "the next attempt is due")


def _probe(effect: EffectFacts, now: datetime, jitter: float) -> Command:
    quiet = effect.quiet_from is not None and now >= effect.quiet_from
    last = effect.last_probe()
    if last is None:
        return Probe(Phase.QUIET if quiet else Phase.EARLY)
    due = last.at + _probe_delay(effect, last, jitter)
    if effect.quiet_from is not None and last.phase is Phase.EARLY and due > effect.quiet_from:
        due = max(effect.quiet_from, last.at + QUIET_GAP)
    if due > now:
        return Wait(due, "the next probe is due")
    return Probe(Phase.QUIET if quiet else Phase.EARLY)


def _probe_delay(effect: EffectFacts, last: Probed, jitter: float) -> timedelta:
    match last.answer:
        case Pending(retry_after=float(seconds)):
            return timedelta(seconds=seconds)
        case NotFound() | SaidRefused() if last.phase is Phase.QUIET:
            return max(effect.promises.staleness, QUIET_GAP)
        case _:
            return max(QUIET_GAP, backoff(max(effect.probes, 1), PROBE_FIRST, PROBE_MOST, jitter))


def _reason(effect: EffectFacts) -> str:
    outcome = effect.found.outcome
    return outcome.reason if isinstance(outcome, Unknown | NotExecuted) else ""


def _why_park(effect: EffectFacts, facts: Facts) -> str:
    if facts.stage is Stage.CLEAR:
        return f"never executed, and no send is left: {_reason(effect)}"
    match (facts.means, facts.budget, facts.want):
        case (Means.NOTHING, _, _):
            return f"nothing can settle it: no probe, and the service remembers nothing ({_reason(effect)})"
        case (_, Budget.SPENT, _):
            return f"{effect.probes} of {effect.policy.probes} probes used, budget spent ({_reason(effect)})"
        case (_, _, Want.UNWANTED):
            return f"not wanted any more, and it cannot be asked about ({_reason(effect)})"
        case _:
            return f"the key is too old for another send ({_reason(effect)})"

"""An effect and the time in, what to do next out: the whole protocol as one table.

`rule` is the table: a match over finite facts, one line a rule, the S-number beside it; `saga.core.table`
prints it for every combination, and the print is committed. `decide` adds the timing. Nothing here acts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from saga.core.evidence import NotFound, Pending, Phase, Probed, SaidRefused
from saga.core.facts import (
    Asked,
    Budget,
    EffectFacts,
    Facts,
    KeyLife,
    Means,
    Stage,
    Want,
    facts_of,
)
from saga.core.model import Direction, NotExecuted, ParkCause, Unknown
from saga.core.promises import InDoubt, Kind
from saga.core.retry import backoff
from saga.core.verdict import Verdict, outcomes

PROBE_FIRST = timedelta(milliseconds=500)
PROBE_MOST = timedelta(seconds=60)
QUIET_GAP = timedelta(milliseconds=100)
"""The least distance of two quiet reads where the service promises no staleness at all."""
LONGEST_WAIT = timedelta(days=1)
"""The most that a service's "retry after" can make us wait before the next attempt."""


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


def rule(facts: Facts) -> Action:
    """The action that the rules prescribe. Order matters: the first line that fits."""
    match (facts.stage, facts.want, facts.budget, facts.means, facts.key, facts.asked):
        case (Stage.IN_FLIGHT, _, _, _, _, _):
            return Action.AWAIT  # S31: a call in flight is never aborted
        case (Stage.LANDED | Stage.REFUSED, _, _, _, _, _):
            return Action.SETTLE  # S4
        case (Stage.MISMATCH, _, _, _, _, _):
            return Action.PARK  # S19: something ran under this key; never a refusal
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
        case _:  # pyright: ignore[reportUnnecessaryComparison] - proven unreachable; a changed table may differ
            raise IllegalTransition(f"no rule for {facts}")


def _give_up(facts: Facts) -> Action:
    return Action.ACCEPT if facts.in_doubt is InDoubt.ACCEPT else Action.PARK


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
    cause: ParkCause = ParkCause.IN_DOUBT


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
            return _park(effect, facts)
        case Action.SEND:
            return _send(effect, now, jitter)
        case Action.PROBE:
            return _probe(effect, now, jitter)


def _send(effect: EffectFacts, now: datetime, jitter: float) -> Command:
    done = effect.attempts
    if done == 0:
        return Send(1)
    due = now
    if effect.ended is not None:
        due = effect.ended + effect.policy.retry.delay(done, jitter)
        newest = outcomes(effect.evidence).get(done)
        if isinstance(newest, NotExecuted | Unknown) and newest.retry_after is not None:  # S18: wait as told
            due = max(due, effect.ended + _told(newest.retry_after, LONGEST_WAIT))
    if not effect.promises.dedups and effect.policy.kind is Kind.EFFECT:
        # S33: nothing dedups, so the old call must be over; a body that has not returned is not (S11).
        due = max(due, effect.quiet_from or now + PROBE_FIRST)
    return Send(done + 1) if due <= now else Wait(due, "the next attempt is due")


def _probe(effect: EffectFacts, now: datetime, jitter: float) -> Command:
    quiet = effect.quiet_from is not None and now >= effect.quiet_from
    last = effect.last_probe()
    if last is None:
        return Probe(Phase.QUIET if quiet else Phase.EARLY)
    due = last.at + _probe_delay(effect, last, jitter)
    told = isinstance(last.answer, Pending) and last.answer.retry_after is not None
    if effect.quiet_from is not None and last.phase is Phase.EARLY and due > effect.quiet_from and not told:
        due = max(effect.quiet_from, last.at + QUIET_GAP)
    if due > now:
        return Wait(due, "the next probe is due")
    return Probe(Phase.QUIET if quiet else Phase.EARLY)


def _probe_delay(effect: EffectFacts, last: Probed, jitter: float) -> timedelta:
    match last.answer:
        case Pending(retry_after=seconds) if seconds is not None:
            return max(QUIET_GAP, _told(seconds, effect.policy.pending_within))
        case NotFound() | SaidRefused() if last.phase is Phase.QUIET:
            return max(effect.promises.staleness, QUIET_GAP)
        case _:
            # Anew in the quiet and for each attempt: a minute for what was asked before must not keep a saga that one
            # answer settles.
            asked = max(effect.asked_like(last), 1)
            return max(QUIET_GAP, backoff(asked, PROBE_FIRST, PROBE_MOST, jitter))


def _told(seconds: float, most: timedelta) -> timedelta:
    """A wait that a service asked for, whatever number it sent (S18, S21)."""
    return timedelta(seconds=min(max(0.0, seconds), most.total_seconds()))


def _reason(effect: EffectFacts) -> str:
    outcome = effect.found.outcome
    return outcome.reason if isinstance(outcome, Unknown | NotExecuted) else ""


def _park(effect: EffectFacts, facts: Facts) -> Park:
    said = _reason(effect)
    match (facts.stage, facts.means, facts.budget, facts.want):
        case (Stage.CLEAR, _, _, _):
            return Park(f"never executed, and no send is left: {said}", ParkCause.COMPENSATION_STUCK)
        case (Stage.MISMATCH, _, _, _):
            return Park(f"the service knows the key with another request ({said})", ParkCause.MISMATCH)
        case (_, Means.NOTHING, _, _):
            return Park(f"nothing can settle it: no probe, and no resend may ({said})")
        case (_, _, Budget.SPENT, _):
            used = min(effect.probes, effect.policy.probes)  # a person's questions are no part of the budget
            return Park(f"{used} of {effect.policy.probes} probes used, budget spent ({said})")
        case (_, _, _, Want.UNWANTED):
            return Park(f"not wanted any more, and it cannot be asked about ({said})")
        case _:
            return Park(f"the key is too old for another send ({said})")

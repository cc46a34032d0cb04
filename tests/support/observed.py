"""Evidence and facts as the tests of the core say them: seconds from noon, attempts by number."""

from datetime import UTC, datetime, timedelta
from typing import Any

from saga.core.decide import Command, Settle, Wait, decide
from saga.core.evidence import (
    Evidence,
    EvidenceKind,
    Intended,
    NotFound,
    Pending,
    Phase,
    ProbeAnswer,
    Probed,
    Replied,
)
from saga.core.facts import EffectFacts, Want
from saga.core.model import Direction, NotExecuted, Outcome, Refused, Succeeded, Unknown
from saga.core.promises import Policy, Promises, Remembers
from saga.core.retry import Retry

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DONE = Succeeded('"receipt"')
NO = Refused("declined", "no money", rule="422")
BUSY = NotExecuted("too many requests", rule="429")
UNHEARD = Unknown("timeout")
DAY = timedelta(days=1)
FORGETFUL = Promises(lateness=timedelta(seconds=60), staleness=timedelta(seconds=5))
LUCKY = Promises(Remembers.SUCCESSES, DAY, lateness=timedelta(seconds=60), staleness=timedelta(seconds=5))
FAITHFUL = Promises(Remembers.ALL, DAY, lateness=timedelta(seconds=60), staleness=timedelta(seconds=5))


def at(seconds: float) -> datetime:
    """So many seconds past noon."""
    return NOON + timedelta(seconds=seconds)


def intended(attempt: int = 1, second: float = 0) -> Intended:
    """Sent then, with ten seconds to answer."""
    return Intended(attempt, at(second), at(second + 10))


def replied(outcome: Outcome, attempt: int = 1) -> Replied:
    """What the sender saw."""
    return Replied(attempt, outcome)


def late(outcome: Outcome, attempt: int = 1) -> Replied:
    """What came after the sender had given up."""
    return Replied(attempt, outcome, EvidenceKind.LATE_REPLY)


def asked(
    second: float, answer: ProbeAnswer | None = None, attempt: int = 1, phase: Phase = Phase.EARLY
) -> Probed:
    """A probe then; by default it found nothing."""
    return Probed(attempt, NotFound() if answer is None else answer, phase, at(second))


def quiet(second: float, answer: ProbeAnswer | None = None, attempt: int = 1) -> Probed:
    """A probe after everything must have landed."""
    return asked(second, answer, attempt, Phase.QUIET)


def pending(after: float | None = None) -> Pending:
    """Still at it."""
    return Pending(after)


def policy(**more: Any) -> Policy:
    """Ten seconds a send, a minute apart at most."""
    retry = Retry(
        attempts=more.pop("attempts", 5), first=timedelta(seconds=1), most=timedelta(seconds=60),
        give_up=more.pop("give_up", None),
    )  # fmt: skip
    return Policy(timeout=timedelta(seconds=10), retry=retry, **more)


def effect(
    promises: Promises, how: Policy, *evidence: Evidence, backward: bool = False, doubt: float | None = None,
    **more: Any,
) -> EffectFacts:  # fmt: skip
    """One effect, first sent at noon. Times are read off the evidence where they are not given."""
    sent = [e for e in evidence if isinstance(e, Intended)]
    first = sent[0].at if sent else None
    deadline = max((e.deadline for e in sent), default=None)
    lifetime = promises.key_lifetime
    known: dict[str, Any] = {
        "first_intent": first,
        "quiet_from": None if deadline is None else deadline + promises.lateness,
        "key_expires": None if first is None or lifetime is None else first + lifetime,
        "doubt_since": None if doubt is None else at(doubt),
        "ended": deadline,
    }
    direction = Direction.BACKWARD if backward else Direction.FORWARD
    return EffectFacts(direction, promises, how, evidence, **{**known, **more})


def at_once(facts: EffectFacts, second: float, *, want: Want = Want.WANTED, jitter: float = 0.0) -> Command:
    """What is decided then; with a jitter of 0 nothing is put off by chance."""
    return decide(facts, want, at(second), jitter)


def until(command: Command) -> float:
    """The second until which it waits."""
    assert isinstance(command, Wait), command
    return (command.until - NOON).total_seconds()


def settled_as(command: Command) -> type[Outcome]:
    """The kind of outcome that it settles on."""
    assert isinstance(command, Settle), command
    return type(command.verdict.outcome)

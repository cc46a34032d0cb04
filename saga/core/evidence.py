"""The kinds of evidence: one observation each, append-only, never a conclusion.

Rules that hold here: a thing observed is written as it was observed, with the attempt it speaks of; what it
proves is `verdict`'s business. `encode` and `decode` are the only way to the stored form and back.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from saga.core.model import NotExecuted, Outcome, Refused, Succeeded, Unknown


class EvidenceKind(StrEnum):
    """The stored word for an observation."""

    INTENT = "intent"
    REPLY = "reply"
    LATE_REPLY = "late_reply"
    WEBHOOK = "webhook"
    LOST = "lost"
    PROBE = "probe"
    STATEMENT = "statement"
    RETRY = "retry"


class Phase(StrEnum):
    """When a probe was asked: before, or after, every request under the key must have landed (S16)."""

    EARLY = "early"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True)
class Landed:
    """The service has the effect. `result` is its JSON text; `also`: further ones under the key (S23)."""

    result: str
    also: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """A stored list becomes a tuple."""
        object.__setattr__(self, "also", tuple(self.also))


@dataclass(frozen=True, slots=True)
class SaidRefused:
    """The service says that it refused under this key."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class NotFound:
    """The service knows nothing of the key: evidence, never a verdict (S13)."""


@dataclass(frozen=True, slots=True)
class Pending:
    """The service is still at it. `retry_after` is in seconds."""

    retry_after: float | None


@dataclass(frozen=True, slots=True)
class Fenced:
    """The service guarantees that this key will never land."""


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The probe itself failed: no evidence about the effect, kept for people (S21)."""

    reason: str


ProbeAnswer = Landed | SaidRefused | NotFound | Pending | Fenced | NoAnswer


@dataclass(frozen=True, slots=True)
class Intended:
    """The attempt was made durable before its first byte left (S5)."""

    attempt: int
    at: datetime
    deadline: datetime


@dataclass(frozen=True, slots=True)
class Replied:
    """An attempt came to an end for its sender, in time or late (S25).

    excused: its service was open when it failed, so it counts against no budget of attempts.
    """

    attempt: int
    outcome: Outcome
    late: EvidenceKind = EvidenceKind.REPLY
    excused: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """An intent without an outcome, found by another worker (S9): sent or not, nobody knows."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Probed:
    """A probe's answer, asked when `attempt` was the newest."""

    attempt: int
    answer: ProbeAnswer
    phase: Phase
    at: datetime


@dataclass(frozen=True, slots=True)
class StatedLanded:
    """An operator says that it landed (S37); speaks of attempts up to this one. `result` is JSON text.

    by_hand: no attempt of ours landed, and a person has done outside what the service did not do for us; only ever said
    of an undo that a saga waits for (S29), so it does not contradict the service's word.
    """

    attempt: int
    by: str
    because: str
    result: str
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class StatedNever:
    """An operator says that no attempt up to this one landed, or ever will (S37).

    at: when it was said, by the database's clock: it counts only from when nothing could land any more. None: the
    operator answers for what was still on its way, too.
    """

    attempt: int
    by: str
    because: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RetryAsked:
    """An operator gave a spent budget anew. Proves nothing."""

    by: str
    because: str
    at: datetime


Evidence = Intended | Replied | Lost | Probed | StatedLanded | StatedNever | RetryAsked

_OUTCOMES: dict[str, type[Outcome]] = {
    "succeeded": Succeeded,
    "refused": Refused,
    "not_executed": NotExecuted,
    "unknown": Unknown,
}
_ANSWERS: dict[str, type[ProbeAnswer]] = {
    "landed": Landed,
    "refused": SaidRefused,
    "not_found": NotFound,
    "pending": Pending,
    "fenced": Fenced,
    "no_answer": NoAnswer,
}
_WORDS: dict[type, str] = {kind: word for word, kind in (*_OUTCOMES.items(), *_ANSWERS.items())}


def word(thing: Outcome | ProbeAnswer) -> str:
    """The word under which an outcome or an answer is stored and shown."""
    return _WORDS[type(thing)]


def encode(evidence: Evidence) -> tuple[EvidenceKind, int, dict[str, Any]]:
    """Kind, attempt and body as they are stored; an attempt of 0 speaks of the whole effect."""
    match evidence:
        case Intended(attempt, at, deadline):
            return EvidenceKind.INTENT, attempt, {"at": at.isoformat(), "deadline": deadline.isoformat()}
        case Replied(attempt, outcome, late, excused):
            body = {"outcome": word(outcome), **asdict(outcome)}
            return late, attempt, body | ({"excused": True} if excused else {})
        case Lost(attempt):
            return EvidenceKind.LOST, attempt, {}
        case Probed(attempt, answer, phase, at):
            body = {"answer": word(answer), "phase": phase.value, "at": at.isoformat(), **asdict(answer)}
            return EvidenceKind.PROBE, attempt, body
        case StatedLanded(attempt, by, because, result, by_hand):
            says = {"says": "landed", "by": by, "because": because, "result": result}
            return EvidenceKind.STATEMENT, attempt, says | ({"by_hand": True} if by_hand else {})
        case StatedNever(attempt, by, because, at):
            says = {"says": "never", "by": by, "because": because}
            return EvidenceKind.STATEMENT, attempt, says | ({} if at is None else {"at": at.isoformat()})
        case RetryAsked(by, because, at):
            return EvidenceKind.RETRY, 0, {"by": by, "because": because, "at": at.isoformat()}


def decode(kind: str, attempt: int, body: dict[str, Any]) -> Evidence:
    """The observation that `encode` stored.

    Raises:
        ValueError: the kind is not one that this version knows.
    """
    rest = dict(body)
    match EvidenceKind(kind):
        case EvidenceKind.INTENT:
            return Intended(attempt, _time(rest["at"]), _time(rest["deadline"]))
        case EvidenceKind.REPLY | EvidenceKind.LATE_REPLY | EvidenceKind.WEBHOOK:
            kind_of, excused = _OUTCOMES[rest.pop("outcome")], rest.pop("excused", False)
            return Replied(attempt, kind_of(**rest), EvidenceKind(kind), excused)
        case EvidenceKind.LOST:
            return Lost(attempt)
        case EvidenceKind.PROBE:
            answer, phase, at = _ANSWERS[rest.pop("answer")], Phase(rest.pop("phase")), _time(rest.pop("at"))
            return Probed(attempt, answer(**rest), phase, at)
        case EvidenceKind.STATEMENT if rest.pop("says") == "landed":
            return StatedLanded(attempt, **rest)
        case EvidenceKind.STATEMENT:
            at = rest.pop("at", None)
            return StatedNever(attempt, **rest, at=None if at is None else _time(at))
        case EvidenceKind.RETRY:
            return RetryAsked(rest["by"], rest["because"], _time(rest["at"]))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)

"""The nouns of the engine and their statuses; the values of the enums are the text that is stored.

Rules that hold here: status text exists once, in these enums (the CHECKs of the schema are made from
them); each member says who moves a thing in and who moves it out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SagaStatus(StrEnum):
    """Where a saga stands."""

    READY = "ready"
    """In: start, wake-up, reaper, release. Out: a worker's claim. Lasts until a worker has room."""
    RUNNING = "running"
    """In: claim. Out: its owner (sleep, park, end, release) or the reaper. Only this status has an owner."""
    ASLEEP = "asleep"
    """In: its owner, or a start for later, with `wake_at`. Out: the mover when `wake_at` is due, or anything that wakes it."""
    PARKED = "parked"
    """In: its owner, with a cause. Out: an operator's act or new evidence. Nothing is scheduled."""
    COMPLETED = "completed"
    """In: its owner, when the function returned. An end."""
    COMPENSATED = "compensated"
    """In: its owner, when every compensation of the plan is settled. An end."""
    ABANDONED = "abandoned"
    """In: an operator, on a saga without an owner. An end that claims nothing."""


UNBEGUN = "its start"
"""What a saga waits for that was started for later, and has not begun."""
ENDS = frozenset({SagaStatus.COMPLETED, SagaStatus.COMPENSATED, SagaStatus.ABANDONED})


class Direction(StrEnum):
    """Which way a saga, or one of its effects, goes."""

    FORWARD = "forward"
    """In: start. Out: the owner's turn, once, with a frozen plan."""
    BACKWARD = "backward"
    """In: the turn. Never left."""


class EffectStatus(StrEnum):
    """Where one effect stands."""

    SENT = "sent"
    """In: the intent's commit. Out: the outcome of that attempt. Found by another worker: unknown (S9)."""
    DOUBT = "doubt"
    """In: an outcome that proves nothing. Out: proof, an operator's statement, or a resend."""
    IDLE = "idle"
    """In: every attempt is proven not executed and another may follow. Out: the next intent, or the end."""
    SUCCEEDED = "succeeded"
    """In: proof that it landed. Final."""
    REFUSED = "refused"
    """In: proof of a final no. Final."""
    NOT_EXECUTED = "not_executed"
    """In: proof that nothing happened, and no attempt follows. Final."""
    ACCEPTED = "accepted"
    """In: still in doubt, and the step says `in_doubt="accept"`. Final; the saga is degraded."""


SETTLED = frozenset(
    {EffectStatus.SUCCEEDED, EffectStatus.REFUSED, EffectStatus.NOT_EXECUTED, EffectStatus.ACCEPTED}
)


class MomentKind(StrEnum):
    """What a moment gives a saga function that no service does. In: the commit that it travels with. Never left."""

    SLEEP = "sleep"
    """A time has passed."""
    SIGNAL = "signal"
    """A signal has come, or has not come in time."""
    NOW = "now"
    """What time it was."""
    UUID = "new_uuid"
    """A new id."""
    RANDOM = "random"
    """A random number."""


DRAWN = (MomentKind.NOW, MomentKind.UUID, MomentKind.RANDOM)
"""Kinds that are a value from their first moment, and end nowhere."""


class ParkCause(StrEnum):
    """Why a saga waits for a person. In: its owner. Out: an operator's act or new evidence."""

    IN_DOUBT = "in_doubt"
    """The budget for settling an effect is spent, or nothing can settle it (S22, S24)."""
    COMPENSATION_REFUSED = "compensation_refused"
    """A service said a final no to an undo (S29)."""
    COMPENSATION_STUCK = "compensation_stuck"
    """An undo is proven not executed, and its key is too old for another send (S10, S29)."""
    CODE_CHANGED = "code_changed"
    """What the function calls no longer fits what is recorded."""
    CODE_FAILED = "code_failed"
    """The function raised something that is neither a refusal nor not executed: a bug."""
    NOT_AWAITED = "not_awaited"
    """The function returned with a step called and never awaited."""
    UNSTORABLE = "unstorable"
    """An effect landed with a result that cannot be stored; its verdict is kept."""
    MISMATCH = "mismatch"
    """The service knows the key with another request: something ran under it (S19)."""
    SURPLUS = "surplus"
    """The service has more than one effect under the key (S23)."""
    LANDED_LATE = "landed_late"
    """An effect landed after it was settled as not executed, and the step does not say what then (S16)."""
    AFTER_PIVOT = "after_pivot"
    """A failure left the function after its pivot: there is no way back (S30)."""


class EndCause(StrEnum):
    """Why a saga turned backward; stored in its error, and what the customer's answer follows from."""

    REFUSED = "refused"
    """A step was refused, or the function refused by itself."""
    NOT_EXECUTED = "not_executed"
    """A service could not be had."""
    DEADLINE = "deadline"
    """The saga's own deadline passed."""
    CANCELLED = "cancelled"
    """Somebody asked for it."""
    TIMED_OUT = "timed_out"
    """Nobody sent a signal in time."""


class View(StrEnum):
    """The only four words that an end user sees; an invariant, never a label."""

    CONFIRMED = "confirmed"
    """The saga completed."""
    PROCESSING = "processing"
    """Everything that is not proven otherwise, above all in doubt, parked, abandoned."""
    DECLINED = "declined"
    """Refused or cancelled, and every effect is settled and compensated."""
    TRY_AGAIN = "try_again"
    """Not executed or out of time, and every effect is settled and compensated."""


def view_of(status: SagaStatus, cause: EndCause | None) -> View:
    """What the customer may be told, from what is proven and nothing else."""
    match (status, cause):
        case (SagaStatus.COMPLETED, _):
            return View.CONFIRMED
        case (SagaStatus.COMPENSATED, EndCause.REFUSED | EndCause.CANCELLED):
            return View.DECLINED
        case (SagaStatus.COMPENSATED, EndCause.NOT_EXECUTED | EndCause.DEADLINE | EndCause.TIMED_OUT):
            return View.TRY_AGAIN
        case _:
            return View.PROCESSING


@dataclass(frozen=True, slots=True)
class Succeeded:
    """Proof that the effect landed. `result` is its JSON text."""

    result: str
    rule: str = "reply"


class Kept(StrEnum):
    """Whether the service keeps a reply under the key, so that it speaks for every attempt (S4, S17)."""

    BY_PROMISE = "by_promise"
    """As `remembers` says."""
    YES = "yes"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Refused:
    """A final no, with the rule that proves it (S2), and whether the service keeps it under the key."""

    code: str
    message: str
    rule: str
    kept: Kept = Kept.BY_PROMISE

    def __post_init__(self) -> None:
        """A stored word becomes its member."""
        object.__setattr__(self, "kept", Kept(self.kept))


@dataclass(frozen=True, slots=True)
class NotExecuted:
    """Proof that nothing happened, with the rule that proves it (S2). `retry_after` is in seconds."""

    reason: str
    rule: str
    retry_after: float | None = None


class Hint(StrEnum):
    """What a reply that proves nothing told besides."""

    NONE = "none"
    IN_PROGRESS = "in_progress"
    """Another request under the key is being worked on (S18): wait as told."""
    MISMATCH = "mismatch"
    """The key is known with another request (S19): something with that key already ran."""
    SERVER_ERROR = "server_error"
    """An error of the service, which some store under the key and replay (S20)."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Everything that is not proven (S2). `retry_after` is in seconds."""

    reason: str
    hint: Hint = Hint.NONE
    retry_after: float | None = None

    def __post_init__(self) -> None:
        """A stored word becomes its member."""
        object.__setattr__(self, "hint", Hint(self.hint))


Outcome = Succeeded | Refused | NotExecuted | Unknown
"""What became of an attempt, or of an effect: exactly one of four (S1)."""

"""Which event takes a saga from which status to which: the table of a saga's life.

Rules that hold here: only these moves exist; `after` raises for every other pair, and the store's CHECKs
and compare-and-set clauses say the same in SQL. The owner is set in `running` and nowhere else.
"""

from __future__ import annotations

from enum import StrEnum

from saga.core.model import SagaStatus


class Event(StrEnum):
    """What happens to a saga, in the past tense."""

    CLAIMED = "claimed"
    SLEPT = "slept"
    WOKEN = "woken"
    RELEASED = "released"
    REAPED = "reaped"
    TURNED = "turned"
    PARKED = "parked"
    COMPLETED = "completed"
    COMPENSATED = "compensated"
    ABANDONED = "abandoned"


class IllegalMove(Exception):
    """A saga cannot take this event where it stands."""


_S = SagaStatus
MOVES: dict[tuple[SagaStatus, Event], SagaStatus] = {
    (_S.READY, Event.CLAIMED): _S.RUNNING,
    (_S.READY, Event.WOKEN): _S.READY,
    (_S.READY, Event.ABANDONED): _S.ABANDONED,
    (_S.RUNNING, Event.WOKEN): _S.RUNNING,  # the inbox counter tells the owner
    (_S.RUNNING, Event.SLEPT): _S.ASLEEP,
    (_S.RUNNING, Event.RELEASED): _S.READY,
    (_S.RUNNING, Event.REAPED): _S.READY,
    (_S.RUNNING, Event.TURNED): _S.RUNNING,
    (_S.RUNNING, Event.PARKED): _S.PARKED,
    (_S.RUNNING, Event.COMPLETED): _S.COMPLETED,
    (_S.RUNNING, Event.COMPENSATED): _S.COMPENSATED,
    (_S.ASLEEP, Event.WOKEN): _S.READY,
    (_S.ASLEEP, Event.ABANDONED): _S.ABANDONED,
    (_S.PARKED, Event.WOKEN): _S.READY,
    (_S.PARKED, Event.ABANDONED): _S.ABANDONED,
    (_S.COMPLETED, Event.WOKEN): _S.COMPLETED,  # late evidence is kept, the end stays
    (_S.COMPENSATED, Event.WOKEN): _S.COMPENSATED,
    (_S.ABANDONED, Event.WOKEN): _S.ABANDONED,
}


def after(status: SagaStatus, event: Event) -> SagaStatus:
    """The status that follows.

    Raises:
        IllegalMove: the event cannot happen in that status.
    """
    try:
        return MOVES[status, event]
    except KeyError:
        raise IllegalMove(f"a saga that is {status} cannot be {event}") from None

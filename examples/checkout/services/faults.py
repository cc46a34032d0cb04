"""What can go wrong with a request, and the two ways it is decided: drawn from a seed, or asked for by a test.

Rules: a fault is drawn from (seed, service, operation, business reference, nth arrival) and from nothing else, so two
shops that serve the same orders meet the same faults whatever their keys and timing. From the fourth arrival on
nothing is drawn: a shop that asks again gets through in the end, except where a service is down for an order.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from random import Random

FAULTY_ARRIVALS = 3
FORWARD = frozenset({"reserve", "charge", "mail"})
DOWN_FOR_LONG = 60
"""Arrivals for which a service stays down for an order: more than any shop tries."""


class Fault(StrEnum):
    """The ways in which a request can go wrong; the values are what the admin routes and ledgers say."""

    LOSE_REQUEST = "lose_request"  # the connection breaks before anything is done
    LOSE_REPLY = "lose_reply"  # done and committed; the connection breaks without a reply
    STALL = "stall"  # done only after the client's deadline, answered later still
    ANSWER_LATE = "answer_late"  # done at once, answered after the client's deadline
    REFUSE = "refuse"  # a definite no (only by request of a test: in the demo cards and articles decide)
    ERROR_AFTER_EFFECT = "error_after_effect"  # done and committed; the reply is a 500
    DOWN = "down"  # 503 in the service's own format: shed before anything is done


@dataclass(frozen=True, slots=True)
class Trouble:
    """One fault for one request. `share` in [0, 1): how much of the promised lateness a stall takes."""

    fault: Fault
    share: float = 0.5
    code: str = "refused"


CHANCES: dict[Fault, float] = {
    Fault.LOSE_REQUEST: 0.04,
    Fault.LOSE_REPLY: 0.08,
    Fault.STALL: 0.02,
    Fault.ANSWER_LATE: 0.02,
    Fault.ERROR_AFTER_EFFECT: 0.04,
}
STATUS_CHANCES: dict[Fault, float] = {Fault.LOSE_REPLY: 0.05}
CHANCE_DOWN_SHORTLY = 0.03
CHANCE_DOWN_FOR_LONG = 0.01


class SeededFaults:
    """The faults of one service for a seed; none without a seed."""

    def __init__(self, seed: int | None, service: str) -> None:
        self._seed, self._service = seed, service

    def draw(self, operation: str, reference: str, nth: int) -> Trouble | None:
        """What happens to the `nth` arrival (from 1) of an operation for an order."""
        if self._seed is None:
            return None
        if nth <= self._arrivals_while_down(operation, reference):
            return Trouble(Fault.DOWN)
        if nth > FAULTY_ARRIVALS:
            return None
        dice = Random(f"{self._seed}/{self._service}/{operation}/{reference}/{nth}")
        left = dice.random()
        for fault, chance in (STATUS_CHANCES if operation.startswith("status") else CHANCES).items():
            left -= chance
            if left < 0:
                return Trouble(fault, share=dice.random())
        return None

    def _arrivals_while_down(self, operation: str, reference: str) -> int:
        dice = Random(f"{self._seed}/{self._service}/{operation}/{reference}/down")
        if operation.startswith("status"):
            return 0
        roll = dice.random()
        if roll < CHANCE_DOWN_FOR_LONG and operation in FORWARD:
            return DOWN_FOR_LONG
        return dice.randint(1, 2) if roll < CHANCE_DOWN_FOR_LONG + CHANCE_DOWN_SHORTLY else 0


class AskedFaults:
    """Faults that a test has asked for: the next ones first, each used once."""

    def __init__(self) -> None:
        self._queues: dict[tuple[str, str | None], deque[Trouble]] = {}

    def add(self, operation: str, reference: str | None, trouble: Trouble, count: int) -> None:
        """The next `count` requests of the operation (for that order, or for any) meet this trouble."""
        self._queues.setdefault((operation, reference), deque()).extend([trouble] * count)

    def clear(self) -> None:
        """Forgets what was asked for and did not happen yet."""
        self._queues.clear()

    def take(self, operation: str, reference: str) -> Trouble | None:
        """The next trouble that was asked for this request, used up by this call."""
        for place in ((operation, reference), (operation, None)):
            queue = self._queues.get(place)
            if queue:
                return queue.popleft()
        return None

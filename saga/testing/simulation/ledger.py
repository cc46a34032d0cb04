"""What really happened, as the services wrote it down: requests, effects, undos, refusals.

Rules that hold here: the ledger is the services' and knows nothing of the engine's tables; it is only added to;
the invariants are read off it (`saga.testing.invariants`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from saga.core.model import Direction


class Action(StrEnum):
    """What a service did with a request."""

    APPLIED = "applied"
    """A forward effect is there."""
    UNDONE = "undone"
    """A compensation has run."""
    REFUSED = "refused"
    REPLAYED = "replayed"
    """The key was known: the stored reply, and nothing done."""
    TURNED_AWAY = "turned away"
    """Nothing was done, and the next request under the key is as good as the first."""
    FENCED = "fenced"


@dataclass(frozen=True, slots=True)
class Named:
    """Which effect a request is about. saga: its business key; `undoes`: the forward key, of a compensation."""

    saga: str
    step: str
    direction: Direction
    service: str
    key: str
    undoes: str | None = None

    def __str__(self) -> str:
        what = self.step if self.direction is Direction.FORWARD else f"the undo of {self.step}"
        return f"{what} of {self.saga}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a service. at: virtual seconds."""

    at: float
    named: Named
    attempt: int
    action: Action


@dataclass(frozen=True, slots=True)
class Sent:
    """One request as it left a worker. durable: whether its intent was committed at that moment (S5).

    checked: when the worker last looked whether it may send, which is earlier where it was frozen in between (S11).
    """

    at: float
    checked: float
    named: Named
    attempt: int
    arguments: str
    worker: str
    durable: bool


@dataclass
class Ledger:
    """Everything, in the order in which it happened."""

    entries: list[Entry] = field(default_factory=list[Entry])
    sent: list[Sent] = field(default_factory=list[Sent])

    def wrote(self, at: float, named: Named, attempt: int, action: Action) -> None:
        """One line more."""
        self.entries.append(Entry(at, named, attempt, action))

    def of(self, saga: str) -> list[Entry]:
        """The lines about one saga."""
        return [e for e in self.entries if e.named.saga == saga]

    def by_saga(self) -> dict[str, list[Entry]]:
        """All lines, by saga."""
        found: dict[str, list[Entry]] = {}
        for entry in self.entries:
            found.setdefault(entry.named.saga, []).append(entry)
        return found


def applied(entries: list[Entry], action: Action) -> dict[str, int]:
    """How often each step was applied, or undone, in these lines of one saga."""
    found: dict[str, int] = {}
    for entry in entries:
        if entry.action is action:
            found[entry.named.step] = found.get(entry.named.step, 0) + 1
    return found

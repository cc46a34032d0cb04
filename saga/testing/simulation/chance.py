"""What a simulation leaves to chance: the faults, and the small delays in between.

Rules that hold here: a fault is asked for at a named *point*, and points are told apart by how often their name
came before, so that a fault that is taken away leaves the others where they were; delays are drawn from the
point's name too. What was injected is kept in order: it is the path that replays and explains a run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol
from zlib import crc32

_RANGE = 1 << 32


@dataclass(frozen=True, slots=True)
class Fault:
    """One injected fault. number: how often this point had come before. at: virtual seconds; for people only."""

    point: str
    number: int
    name: str
    at: float = field(default=0.0, compare=False)

    def __str__(self) -> str:
        nth = f" ({self.number + 1}.)" if self.number else ""
        return f"{self.at:9.3f} s  {self.name} at {self.point}{nth}"


class Chance(Protocol):
    """Where a simulation asks."""

    taken: list[Fault]

    def fault(self, point: str, options: Sequence[str], at: float) -> str | None:
        """Which of these faults happens at this point now; None: none."""
        ...

    def share(self, point: str) -> float:
        """A number in [0, 1) for a delay, or for a choice that is no fault."""
        ...


def _draw(seed: int, point: str, number: int) -> float:
    """A number in [0, 1); crc32 of a counter is not random, so it is mixed (the finaliser of MurmurHash3)."""
    mixed = crc32(f"{point}#{number}".encode(), seed & 0xFFFFFFFF)
    mixed = ((mixed ^ (mixed >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    return (mixed ^ (mixed >> 16)) / _RANGE


@dataclass
class Seeded:
    """Faults by a seed. rates: by the first word of the point; until: no faults from this time on."""

    seed: int
    rates: dict[str, float]
    until: float
    taken: list[Fault] = field(default_factory=list[Fault])
    points: int = 0
    _counts: Counter[str] = field(default_factory=Counter[str])

    def fault(self, point: str, options: Sequence[str], at: float) -> str | None:
        """By the rate of its kind; each option is as likely as the others."""
        number = self._counts[point]
        self._counts[point] = number + 1
        self.points += 1
        if at >= self.until:
            return None
        rate = self.rates.get(point.partition(" ")[0], 0.0)
        drawn = _draw(self.seed, point, number)
        if drawn >= rate:
            return None
        name = options[int(drawn / rate * len(options))]
        self.taken.append(Fault(point, number, name, at))
        return name

    def share(self, point: str) -> float:
        """From the same seed, apart from the faults."""
        number = self._counts["~" + point]
        self._counts["~" + point] = number + 1
        return _draw(self.seed ^ 0x5BD1E995, point, number)


@dataclass
class Scripted:
    """These faults and no others. seen: every point that was passed, in order, with what could happen there.

    seed: of the delays; None: every delay is the same, in the middle.
    """

    script: dict[tuple[str, int], str]
    seed: int | None = None
    taken: list[Fault] = field(default_factory=list[Fault])
    seen: list[tuple[str, int, tuple[str, ...]]] = field(
        default_factory=list[tuple[str, int, tuple[str, ...]]]
    )
    _counts: Counter[str] = field(default_factory=Counter[str])

    def fault(self, point: str, options: Sequence[str], at: float) -> str | None:
        """As the script says."""
        number = self._counts[point]
        self._counts[point] = number + 1
        self.seen.append((point, number, tuple(options)))
        name = self.script.get((point, number))
        if name is None or name not in options:
            return None
        self.taken.append(Fault(point, number, name, at))
        return name

    def share(self, point: str) -> float:
        """As the seeded run drew it, or the middle."""
        if self.seed is None:
            return 0.5
        number = self._counts["~" + point]
        self._counts["~" + point] = number + 1
        return _draw(self.seed ^ 0x5BD1E995, point, number)

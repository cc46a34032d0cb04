"""The figures as they come, their medians and their spread; and who is missing, with the reason."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field


@dataclass
class Table:
    """The figures so far, by name."""

    rounds: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    missing: dict[str, str] = field(default_factory=dict[str, str])
    settings: dict[str, str] = field(default_factory=dict[str, str])

    def add(self, name: str, value: float | None) -> None:
        """One repetition; None: it could not be measured here."""
        if value is None:
            self.miss(name, "this system does not tell")
            return
        self.rounds.setdefault(name, []).append(value)
        print(f"  {name:<36}{value:>14,.3f}", flush=True)

    def miss(self, name: str, why: str) -> None:
        """There is no figure, and why."""
        self.missing[name] = why
        print(f"  {name:<36}{'missing':>14}   {why}", flush=True)

    def describe(self, name: str, settings: str) -> None:
        """How somebody was run."""
        self.settings[name] = settings

    def median(self, name: str) -> float | None:
        """Of all repetitions; None: there is none."""
        found = self.rounds.get(name)
        return None if not found else round(statistics.median(found), 3)

    def ratio(self, above: str, below: str) -> float | None:
        """Of two medians of this run."""
        one, other = self.median(above), self.median(below)
        return None if one is None or not other else round(one / other, 3)

    def summary(self) -> None:
        """All of it."""
        print("medians and spread")
        for name, found in self.rounds.items():
            print(f"  {name:<36}{statistics.median(found):>14,.3f}   {min(found):,.3f} to {max(found):,.3f}")
        for name, why in self.missing.items():
            print(f"  {name:<36}{'missing':>14}   {why}")
        for line in sorted(set(self.settings.values())):
            print(f"  {line}")

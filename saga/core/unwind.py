"""Finished effects in, the compensation plan out.

Rules that hold here: reverse of start (S27); a refused or not executed effect is never compensated, a
succeeded one always is, once (S28); nothing is planned while anything is in doubt (S26). The plan is frozen,
with a digest, in the transaction that turns the saga backward.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from saga.core.model import SETTLED, EffectStatus


class StillInDoubt(Exception):
    """A plan was asked for while an effect is not settled (S26)."""


@dataclass(frozen=True, slots=True)
class Finished:
    """One forward effect at its end. `position` counts starts; `undoable`: its step has a compensation."""

    step: str
    position: int
    status: EffectStatus
    undoable: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """Which effects are compensated, in this order."""

    steps: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Changes when the plan does."""
        return hashlib.sha256(json.dumps(self.steps).encode()).hexdigest()[:16]


def unwind(effects: Iterable[Finished]) -> Plan:
    """The plan of compensations.

    Raises:
        StillInDoubt: an effect is not settled; settle it first.
    """
    finished = sorted(effects, key=lambda e: e.position, reverse=True)
    open_ones = [e.step for e in finished if e.status not in SETTLED]
    if open_ones:
        raise StillInDoubt(f"not settled: {', '.join(open_ones)}")
    return Plan(tuple(e.step for e in finished if e.undoable and e.status is EffectStatus.SUCCEEDED))

"""The schedule of faults of a seed: what happens when. Pure, so that a seed can be read before it is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Kind(StrEnum):
    """What happens."""

    KILL = "kill"
    """Kill -9 of a worker, and a new one in its place."""
    STOP = "stop"
    """SIGSTOP of a worker beyond its lease, then SIGCONT."""
    STORM = "storm"
    """Every session at the primary is terminated, several times in a row."""
    CRASH = "crash"
    """Kill -9 of the primary's postmaster, and recovery."""
    STANDBY = "standby"
    """Kill -9 of the standby, and its return: commits wait."""
    PROMOTION = "promotion"
    """Kill -9 of the primary; the standby takes over, and gets a standby of its own."""
    TORN = "torn"
    """The same, after the standby was cut off and sessions were terminated in their wait for it."""
    SERVICE = "service"
    """Kill -9 of a process of services, and its return over its ledgers."""
    RESET = "reset"
    STALL = "stall"
    STRAND = "strand"
    LATE = "late"


EVERY_S = {
    Kind.KILL: 2.0,
    Kind.STOP: 13.0,
    Kind.STORM: 11.0,
    Kind.CRASH: 47.0,
    Kind.STANDBY: 41.0,
    Kind.PROMOTION: 97.0,
    Kind.TORN: 89.0,
    Kind.SERVICE: 12.0,
    Kind.RESET: 7.0,
    Kind.STALL: 10.0,
    Kind.STRAND: 23.0,
    Kind.LATE: 9.0,
}
ON_WIRES = (Kind.RESET, Kind.STALL, Kind.STRAND, Kind.LATE)
QUIET_START_S = 3.0


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """At second `at`: `kind` hits `whom` (a number, a wire, a process) for `seconds`, where it lasts."""

    at: float
    kind: Kind
    whom: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        lasts = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.at:7.1f} {self.kind} {self.whom}{lasts}".rstrip()


@dataclass(frozen=True, slots=True)
class There:
    """What can be hit: how many workers, and the names of the rest."""

    workers: int
    processes: Sequence[str]
    wires: Sequence[str]


def plan(seconds: float, seed: int, there: There) -> list[Fault]:
    """All faults in order of time. The last are at the very end, the worst for a worker that is left alone."""
    dice = Random(f"{seed}/plan")
    faults: list[Fault] = []
    for kind, every in EVERY_S.items():
        at = QUIET_START_S + every * dice.uniform(0.3, 0.7)
        while at < seconds:
            faults.append(_one(kind, at, dice, there))
            at += every if kind is Kind.KILL else every * dice.uniform(0.7, 1.3)
    faults.append(Fault(seconds, Kind.STRAND, "workers' database"))
    faults.append(Fault(seconds, Kind.KILL, str(dice.randrange(there.workers))))
    return sorted(faults)


def _one(kind: Kind, at: float, dice: Random, there: There) -> Fault:
    match kind:
        case Kind.KILL:
            return Fault(at, kind, str(dice.randrange(there.workers)))
        case Kind.STOP:
            return Fault(at, kind, str(dice.randrange(there.workers)), dice.uniform(3.5, 7.0))
        case Kind.SERVICE:
            return Fault(at, kind, dice.choice(there.processes), dice.uniform(0.0, 1.0))
        case Kind.STALL | Kind.LATE:
            return Fault(at, kind, dice.choice(there.wires), dice.uniform(0.3, 2.5))
        case Kind.RESET | Kind.STRAND:
            return Fault(at, kind, dice.choice(there.wires))
        case Kind.TORN:
            return Fault(at, kind, "", dice.uniform(0.5, 2.0))
        case _:
            return Fault(at, kind)

"""What the simulated services promise, and what befalls them: sixteen kinds, from one that remembers all to one that cannot even be asked.

Rules that hold here: times are short, because only their order matters to the rules; everything that a profile
leaves open is used against the engine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from saga import Breaker, Retry, Service
from saga.testing.simulation.network import CALL_FAULTS, LATE, LOST, NO_CONNECTION, UNANSWERED
from saga.testing.simulation.service import REFUSES
from saga.testing.simulation.wire import (
    BATCH_FAULTS,
    BATCH_SLEPT_ON,
    BATCH_SPLIT,
    CRASH,
    FAILOVER,
    FREEZE,
    JUMP,
    KILL,
    MOMENTS,
    STOP,
)

TIMEOUT = "300ms"
PATIENT = "4s"
"""A budget that is longer than a worker's lease, and than a worker is frozen: then the lease says whether it may send."""
QUICK = Retry(attempts=4, first="20ms", most="200ms")
KEY_LIFETIME = "30s"
WATCH_FOR = "6s"


@dataclass(frozen=True)
class Profile:
    """One kind of service. probe: it has a status endpoint, and for undos too. step: options of every step.

    lies: by how many seconds at most it breaks the lateness that it declares. lags: every answer is as stale as declared.
    waits: its sagas sleep, and wait for signals. calls, moments, batches: which faults there are in its runs, with a call, at any
    moment, with a request to the database. Few of them meet more often, so
    that what takes two of them in a row is not left to luck.
    """

    name: str
    promises: dict[str, Any]
    probe: bool = True
    step: dict[str, Any] = field(default_factory=dict[str, Any])
    lies: float = 0.0
    lags: bool = False
    waits: bool = False
    calls: tuple[str, ...] = CALL_FAULTS
    moments: tuple[str, ...] = MOMENTS
    batches: tuple[str, ...] = BATCH_FAULTS

    @property
    def dedups(self) -> bool:
        """Whether the same key twice is one effect."""
        return bool(self.promises.get("remembers", "nothing") != "nothing")

    def service(self, name: str) -> Service:
        """A service of this kind."""
        return Service(name, **{"lateness": "2s", "staleness": "100ms", **self.promises})


ALL = {"remembers": "all", "key_lifetime": KEY_LIFETIME}
SUCCESSES = {"remembers": "successes", "key_lifetime": KEY_LIFETIME}

PROFILES = {
    p.name: p
    for p in (
        Profile("full", ALL),
        Profile("successes", SUCCESSES),
        Profile("forgets", {}, step={"watch_for": WATCH_FOR}),
        Profile("unasked", ALL, probe=False),
        Profile("unasked-successes", SUCCESSES, probe=False),
        Profile("replays-errors", {**ALL, "replays_5xx": True}),
        Profile("voids", {**SUCCESSES, "voids_by_key": True}),
        Profile("short-keys", {"remembers": "all", "key_lifetime": "5s"}),
        Profile("once", {}, probe=False, step={"at_most_once": True}),
        Profile("lags", {"staleness": "1s"}, step={"watch_for": WATCH_FOR}, lags=True),
        Profile("patient", {}, step={"watch_for": "10s", "timeout": PATIENT, "settle_within": "12s"}),
        Profile("refusing", SUCCESSES, calls=(LATE, UNANSWERED, REFUSES)),
        Profile("jumping", {}, step={"watch_for": WATCH_FOR}, moments=(JUMP,)),
        Profile("liar", {}, step={"watch_for": WATCH_FOR}, lies=3.0),
        Profile("liar-undone", {}, step={"watch_for": WATCH_FOR, "late": "compensate"}, lies=3.0),
        Profile("waits", ALL, waits=True, moments=(KILL, KILL, FREEZE, STOP, CRASH, FAILOVER)),
        Profile(
            "breaks",
            {"remembers": "all", "key_lifetime": "24h", "breaker": Breaker(2, "2s", "6s")},
            step={"watch_for": WATCH_FOR},
            calls=(NO_CONNECTION, LOST, UNANSWERED),
            moments=(),
            # Whoever was frozen knows how services stood before: until its next round it may call one that is open.
            batches=tuple(fault for fault in BATCH_FAULTS if fault not in {BATCH_SPLIT, BATCH_SLEPT_ON}),
        ),
    )
}

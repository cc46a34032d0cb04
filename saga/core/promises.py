"""What a service promises and how a step behaves, as plain values that the rules read.

Rules that hold here: every default is pessimistic; durations are `timedelta`; `problems` names every
promise that could never be kept, so that a bad definition is refused before anything runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from saga.core.keys import KEY_CHARACTERS
from saga.core.replies import Replies
from saga.core.retry import Retry

ZERO = timedelta(0)


class Remembers(StrEnum):
    """What a service keeps under an idempotency key."""

    NOTHING = "nothing"
    SUCCESSES = "successes"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Promises:
    """What the service behind an effect promises (source: its documentation).

    remembers: what is kept under a key. key_lifetime: for how long. key_length: the longest key, in
    characters. lateness: the longest that a request may still land after its deadline. staleness: how far its
    status answers may lag behind. replays_5xx: whether an error of the service is kept under the key and
    replayed, so that a resend can never resolve it (S20). replies: what its replies mean, and which are kept.
    voids_by_key: whether it can be asked to void a key, which then never lands (S15).
    """

    remembers: Remembers = Remembers.NOTHING
    key_lifetime: timedelta | None = None
    lateness: timedelta = timedelta(minutes=2)
    staleness: timedelta = timedelta(seconds=5)
    key_length: int | None = None
    replays_5xx: bool = False
    replies: Replies = field(default_factory=Replies)
    voids_by_key: bool = False

    @property
    def dedups(self) -> bool:
        """Whether the same key twice is one effect."""
        return self.remembers is not Remembers.NOTHING

    @property
    def quiet_after(self) -> timedelta:
        """From a deadline on, until everything has landed that can, and every status answer shows it (S16)."""
        return self.lateness + self.staleness

    @property
    def margin(self) -> timedelta:
        """How long before the key's end sends stop: 1 h or 5 %, half of a lifetime under 2 h (S10)."""
        lifetime = self.key_lifetime or ZERO
        if lifetime < timedelta(hours=2):
            return lifetime / 2
        return max(timedelta(hours=1), lifetime * 0.05)

    def problems(self) -> list[str]:
        """Every promise that no service can mean, as sentences."""
        found = [
            f"{name} is negative: give a duration of zero or more"
            for name in ("lateness", "staleness")
            if getattr(self, name) < ZERO
        ]
        if self.dedups and self.key_lifetime is None:
            found.append(f'remembers="{self.remembers}" without key_lifetime: say for how long the key lives')
        if not self.dedups and self.key_lifetime is not None:
            found.append('key_lifetime without remembers: say remembers="successes" or "all"')
        if self.key_lifetime is not None and self.key_lifetime <= ZERO:
            found.append("key_lifetime must be more than zero")
        if self.key_length is not None and self.key_length < KEY_CHARACTERS:
            found.append(
                f"key_length {self.key_length} is too short: our keys have {KEY_CHARACTERS} characters"
            )
        return found + self.replies.problems() + self._memory_problems()

    def _memory_problems(self) -> list[str]:
        """Where what is said of kept replies does not fit what is remembered at all."""
        found: list[str] = []
        if not self.dedups and self.replies.stores:
            found.append('stores without remembers: say remembers="successes" or "all"')
        if self.remembers is Remembers.SUCCESSES and self.replies.stores_refusals:
            found.append('stores lists more than successes: say remembers="all"')
        if self.replays_5xx and self.remembers is not Remembers.ALL:
            found.append('replays_5xx without remembers="all": an error is only replayed where it is kept')
        if self.replies.stores_errors and not self.replays_5xx:
            found.append("stores lists a 5xx: say replays_5xx=True")
        return found


class InDoubt(StrEnum):
    """What a step does when its doubt cannot be settled."""

    PARK = "park"
    ACCEPT = "accept"


class Late(StrEnum):
    """What happens to an effect that lands after it was settled as not executed (S16)."""

    PARK = "park"
    COMPENSATE = "compensate"


class Kind(StrEnum):
    """What a duplicate of the effect means."""

    EFFECT = "effect"
    """A duplicate is a defect."""
    REPEATABLE = "repeatable"
    """A duplicate is acceptable: unknown is resent without a probe."""
    READS = "reads"
    """Changes nothing: retried freely."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How one effect is sent, retried and settled.

    timeout: budget of one attempt. settle_within, probes: the budget of a doubt (S22).
    pending_within: the budget of a service that keeps saying "pending" (S21). watch_for: how long an effect
    that was settled by silence is watched; None: as long as its key lives (S16). late: what to do when it
    lands after all. pivot: after its success the saga only goes forward (S30).
    """

    timeout: timedelta
    retry: Retry = field(default_factory=Retry)
    settle_within: timedelta = timedelta(hours=1)
    pending_within: timedelta = timedelta(hours=24)
    probes: int = 60
    can_probe: bool = False
    kind: Kind = Kind.EFFECT
    in_doubt: InDoubt = InDoubt.PARK
    watch_for: timedelta | None = None
    late: Late = Late.PARK
    pivot: bool = False

    def problems(self, promises: Promises) -> list[str]:
        """Everything in this policy that cannot work with these promises, as sentences."""
        found = [
            f"{name} must be more than zero"
            for name in ("timeout", "settle_within", "pending_within")
            if getattr(self, name) <= ZERO
        ]
        if self.probes < 1:
            found.append("probes must be at least 1")
        if self.watch_for is not None and self.watch_for <= ZERO:
            found.append("watch_for must be more than zero")
        if self.can_probe and not promises.dedups and self.kind is Kind.EFFECT and self.watch_for is None:
            found.append(
                "say how long to look for a late landing: watch_for=, because the service keeps no key whose life "
                "would tell (S16)"
            )
        found += self.retry.problems()
        if promises.key_lifetime is not None and promises.dedups:
            usable = promises.key_lifetime - promises.margin
            if self.timeout + promises.lateness >= usable:
                found.append(
                    f"no send would ever be allowed: timeout {self.timeout} + lateness {promises.lateness} "
                    f"is not less than the usable life of the key, {usable} (S10)"
                )
        return found

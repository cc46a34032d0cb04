"""A service that keeps its promises and not an inch more: it forgets, lags, and decides a refusal anew.

Rules that hold here: what is remembered, for how long, and how far answers lag is what the step's `Service`
declares; whatever the declaration leaves open happens to the caller's disadvantage; every effect is a line in
the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from saga import errors
from saga.answers import Answer, Fenced, Landed, NotFound, Pending
from saga.core.model import Direction
from saga.core.promises import Promises, Remembers
from saga.testing.simulation.ledger import Action, Ledger, Named


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrives. value: what the reply to a success holds. refusal: of a refusal. does: how the service takes it."""

    named: Named
    attempt: int
    arguments: str
    value: Any
    does: str = ""
    refusal: tuple[str, str] = ("declined", "no")


@dataclass(frozen=True, slots=True)
class Reply:
    """A success with its value, or what the caller's classifier makes of anything else."""

    value: Any = None
    error: BaseException | None = None


@dataclass
class _Known:
    """What a service knows of one key. first: when it first heard of it; stored: the reply that is kept."""

    first: float
    arguments: str
    stored: Reply | None = None
    landed: list[tuple[float, Any]] = field(default_factory=list[tuple[float, Any]])
    refused: tuple[float, tuple[str, str]] | None = None
    fenced: bool = False
    working_until: float = -1.0


SHEDS, SHEDS_FOR_LONG, MISMATCHES, FAILS_BEFORE, FAILS_AFTER, REFUSES, SLOW = (
    "429, nothing done",
    "429 with a time to wait, nothing done",
    "422, another request is known under the key", "503 before the effect", "500 after the effect", "a refusal", "it takes its time",
)  # fmt: skip

DOES = frozenset({SHEDS, SHEDS_FOR_LONG, MISMATCHES, FAILS_BEFORE, FAILS_AFTER, REFUSES, SLOW})
"""What the service itself does with a request, and not the network."""


class FakeService:
    """One service. Calls are instantaneous: what takes time is the network's."""

    def __init__(self, name: str, promises: Promises, ledger: Ledger, slow: float) -> None:
        """It knows nothing yet. slow: seconds that a request takes which takes its time."""
        self.name = name
        self.slow = slow
        self._promises = promises
        self._ledger = ledger
        self._keys: dict[str, _Known] = {}

    def arrive(self, request: Request, now: float) -> tuple[Reply, float]:
        """A request has arrived: the reply, and after how many seconds it is sent.

        The effect of a request that takes its time is there at the end of it; the caller calls `finish` then.
        """
        known = self._known(request, now)
        if known.fenced:
            self._write(now, request, Action.REFUSED)
            return Reply(error=errors.Refused("voided", "the key was voided", rule="voided")), 0.0
        if request.does in {SHEDS, SHEDS_FOR_LONG}:
            self._write(now, request, Action.TURNED_AWAY)
            wait = self.slow if request.does == SHEDS_FOR_LONG else None
            return Reply(error=errors.NotExecuted("429", wait, rule="http 429")), 0.0
        if request.does == MISMATCHES:
            return Reply(error=errors.Mismatch("http 422")), 0.0
        if self._promises.dedups and known.arguments != request.arguments:
            return Reply(error=errors.Mismatch("http 422")), 0.0
        if self._promises.dedups and now < known.working_until:
            return Reply(error=errors.InProgress("http 409", 0.05)), 0.0
        if known.stored is not None:
            self._write(now, request, Action.REPLAYED)
            return known.stored, 0.0
        if request.does == FAILS_BEFORE:
            return self._failed(known, request, now), 0.0
        if request.does == SLOW:
            known.working_until = now + self.slow
            return Reply(), self.slow
        return self.finish(request, now), 0.0

    def finish(self, request: Request, now: float) -> Reply:
        """Do what was asked."""
        known = self._known(request, now)
        known.working_until = -1.0
        if known.fenced:
            self._write(now, request, Action.REFUSED)
            return Reply(error=errors.Refused("voided", "the key was voided", rule="voided"))
        if request.does == REFUSES:
            self._write(now, request, Action.REFUSED)
            known.refused = (now, request.refusal)
            keeps = self._promises.remembers is Remembers.ALL
            reply = Reply(error=errors.Refused(*request.refusal, rule="http 402", status=402))
            known.stored = reply if keeps else None
            return reply
        action = Action.APPLIED if request.named.direction is Direction.FORWARD else Action.UNDONE
        self._write(now, request, action)
        known.landed.append((now, request.value))
        reply = Reply(request.value)
        known.stored = reply if self._promises.dedups else None
        return self._failed(known, request, now) if request.does == FAILS_AFTER else reply

    def status(self, named: Named, now: float, lag: float, *, wanted: bool) -> Answer[Any]:
        """What its status endpoint says: as things stood `lag` seconds ago."""
        known = self._keys.get(named.key)
        seen = now - lag
        landed = [] if known is None else [value for at, value in known.landed if at <= seen]
        if landed:
            return Landed(landed[0], also=tuple(landed[1:]))
        if self._promises.voids_by_key and not wanted and not (known and known.landed):
            return self._fence(named, now)
        if known is None or known.first > seen:
            return NotFound()
        if known.fenced:
            return Fenced()
        if now < known.working_until:
            return Pending(retry_after=0.05)
        if known.refused is not None and known.refused[0] <= seen:
            return errors.Refused(*known.refused[1])
        return NotFound()

    def _fence(self, named: Named, now: float) -> Answer[Any]:
        known = self._keys.setdefault(named.key, _Known(now, ""))
        if not known.fenced:
            known.fenced = True
            self._ledger.wrote(now, named, 0, Action.FENCED)
        return Fenced()

    def _known(self, request: Request, now: float) -> _Known:
        lifetime = self._promises.key_lifetime
        known = self._keys.get(request.named.key)
        if known is None:
            known = self._keys[request.named.key] = _Known(now, request.arguments)
        elif lifetime is not None and now >= known.first + lifetime.total_seconds():
            # The key has gone: the next request under it is a new one, and what landed before stays landed.
            known.first, known.stored, known.arguments = now, None, request.arguments
        return known

    def _failed(self, known: _Known, request: Request, now: float) -> Reply:
        reply = Reply(error=errors.ServerError("http 500"))
        if self._promises.replays_5xx and (known.landed or request.does == FAILS_BEFORE):
            known.stored = reply
        if request.does == FAILS_BEFORE:
            self._write(now, request, Action.TURNED_AWAY)
        return reply

    def _write(self, now: float, request: Request, action: Action) -> None:
        self._ledger.wrote(now, request.named, request.attempt, action)

"""The business of stock, bank and courier: do something once or as often as it is asked, and undo it by id.

Rules: a request is dropped unserved when it comes later than its `Request-Deadline` plus the lateness that the service
promises; a service that remembers answers a known key with what it answered first; one that does not does it again,
and its ledger shows that. Looking a key up and doing is one turn of the loop, which nothing can overtake.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Literal

from tests.chaos.services.ledger import Kind, Ledger, Line, now

Remembers = Literal["nothing", "successes", "all"]
Answer = tuple[int, dict[str, Any]]

LATENESS_S = 2.0
STALENESS_S = 0.3
SLACK_S = 0.1
"""A service keeps its promise with room to spare: what is checked now is written a moment later."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: for which saga, what, under which key; what it undoes; until when it may land."""

    saga: str
    action: str
    key: str
    digest: str
    deadline: float
    undoes: str | None
    refuse: bool

    @classmethod
    def of(cls, action: str, headers: dict[bytes, bytes], body: bytes) -> Asked:
        """Read from the wire."""
        fields = json.loads(body)
        return cls(
            fields["saga"], action, headers[b"idempotency-key"].decode(),
            hashlib.sha256(action.encode() + body).hexdigest()[:16], float(headers[b"request-deadline"]),
            fields.get("undoes"), bool(fields.get("refuse")),
        )  # fmt: skip


class Desk:
    """One service."""

    def __init__(self, name: str, remembers: Remembers, directory: Path, seed: int) -> None:
        self.name, self._remembers = name, remembers
        self._ledger = Ledger(directory / f"{name}.ledger")
        self._dice = Random(f"{seed}/{name}")
        self._by_key: dict[str, Line] = {}
        self._digests: dict[str, str] = {}
        self._effects: dict[str, Line] = {}
        for line in self._ledger.lines:
            self._learn(line)

    async def serve(self, asked: Asked) -> Answer | None:
        """The answer; None: it came too late, and nothing was done."""
        if time.time() > asked.deadline + LATENESS_S - SLACK_S:
            return None
        answer = self._decide(asked)
        await self._ledger.sync()
        return answer

    async def status(self, key: str) -> Answer:
        """What became of a key."""
        line = self._by_key.get(key)
        await self._ledger.sync()
        if line is None or (line.kind is Kind.REFUSED and self._remembers != "all") or self._lags(line):
            return 404, {"error": {"code": "not_found"}}
        return _answer(line)

    def _lags(self, line: Line) -> bool:
        """Where nothing is remembered, questions are answered from a copy that may be behind."""
        young = now() - line.at < (STALENESS_S - SLACK_S) * 1e9
        return self._remembers == "nothing" and young and self._dice.random() < 0.5

    def _decide(self, asked: Asked) -> Answer:
        known = self._by_key.get(asked.key)
        if self._digests.setdefault(asked.key, asked.digest) != asked.digest:
            return self._wrong(asked, "one key, two requests")
        if known is not None and (
            self._remembers == "all" or (self._remembers == "successes" and _did(known))
        ):
            return _answer(known)
        if asked.undoes is not None:
            effect = self._effects.get(asked.undoes)
            if effect is None or effect.saga != asked.saga:
                return self._wrong(asked, "undoes what never landed")
        kind = Kind.REFUSED if asked.refuse else Kind.EFFECT if asked.undoes is None else Kind.UNDO
        return _answer(self._write(asked, kind))

    def _wrong(self, asked: Asked, said: str) -> Answer:
        self._write(asked, Kind.WRONG, said)
        return 409, {"error": {"code": "wrong", "message": said}}

    def _write(self, asked: Asked, kind: Kind, said: str = "") -> Line:
        line = Line(now(), kind, self.name, asked.saga, asked.action, asked.key, uuid.uuid4().hex, asked.undoes,
                    asked.digest, said)  # fmt: skip
        self._ledger.append(line)
        self._learn(line)
        return line

    def _learn(self, line: Line) -> None:
        if line.kind is Kind.WRONG:
            return
        first = self._by_key.get(line.key)
        if first is None or (first.kind is Kind.REFUSED and self._remembers != "all"):
            self._by_key[line.key] = line
        self._digests.setdefault(line.key, line.digest)
        if line.kind is Kind.EFFECT:
            self._effects[line.id] = line


def _did(line: Line) -> bool:
    return line.kind is not Kind.REFUSED


def _answer(line: Line) -> Answer:
    if line.kind is Kind.REFUSED:
        return 422, {"error": {"code": f"no_{line.action}", "message": "this cannot be had"}}
    return 200, {"id": line.id}


Desks = dict[str, Desk]
Make = Callable[[Path, int], Desks]


def market(directory: Path, seed: int) -> Desks:
    """The stock and the bank."""
    return {
        "stock": Desk("stock", "all", directory, seed),
        "bank": Desk("bank", "successes", directory, seed),
    }


def street(directory: Path, seed: int) -> Desks:
    """The courier."""
    return {"courier": Desk("courier", "nothing", directory, seed)}

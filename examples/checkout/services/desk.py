"""The way of every request through a service: arrival, trouble, gate, decision, gate, reply.

Rules: the arrival is booked first, so that faults follow from the count of arrivals. The decision and its booking
are one step without an await: nothing comes between looking a key up and booking under it. A client that went away
changes nothing: what has begun lands. A request is never acted on later than its `Request-Deadline` plus the
lateness that the service promises: that check is what makes the promise true.
"""

import asyncio
import hashlib
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from ..serving import break_connection, connection_is_open  # noqa: TID252
from .faults import AskedFaults, Fault, SeededFaults, Trouble
from .gates import Gates, Point
from .ledger import Arrival, Entry, Ledger, Remembered


class Remembers(StrEnum):
    """What a service keeps under an idempotency key."""

    NOTHING = "nothing"
    SUCCESSES = "successes"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Done:
    """The service does it: what is booked, and what is answered besides the effect's id."""

    kind: str
    prefix: str
    answer: dict[str, Any]
    undoes: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """The service will not: a definite no, in its own error format."""

    status: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back to the client."""

    status: int
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds. `patience`: the deadline assumed for a client that names none; `work`: what a request takes."""

    patience: float = 0.8
    lateness: float = 1.0
    work: float = 0.0


@dataclass(slots=True)
class Desk:
    """One service's desk."""

    name: str
    ledger: Ledger
    remembers: Remembers
    seeded: SeededFaults
    times: Times
    asked: AskedFaults = field(default_factory=AskedFaults)
    gates: Gates = field(default_factory=Gates)
    in_flight: Counter[str] = field(default_factory=Counter[str])

    async def serve(
        self, request: Request, operation: str, reference: str, decide: Callable[[], Done | Refusal]
    ) -> Response:
        """Serves one request of an operation for the order `reference`."""
        sent = hashlib.sha256(await request.body()).hexdigest()
        arrival = self.ledger.arrive(operation, reference, request.headers.get("Idempotency-Key"))
        return await self._through(
            request, arrival, lambda ordered: self._decide_once(arrival, sent, lambda: ordered or decide())
        )

    async def serve_read(
        self, request: Request, operation: str, reference: str, answer: Callable[[], dict[str, Any]]
    ) -> Response:
        """Answers a question that changes nothing: that it came is booked, and nothing else."""
        arrival = self.ledger.arrive(operation, reference, request.headers.get("Idempotency-Key"))
        return await self._through(request, arrival, lambda _: Reply(HTTPStatus.OK, answer()))

    async def serve_status(self, request: Request, operation: str) -> Response:
        """Answers what the key in the path has led to: the stored answer, or 404."""
        key = str(request.path_params["key"])
        arrival = self.ledger.arrive(f"status:{operation}", self.ledger.reference_of(key), key)

        def look_up(_: Refusal | None) -> Reply:
            found = self.ledger.recall(operation, key)
            if found is None:
                return _error(404, "unknown_key", "nothing is known under this key")
            return Reply(HTTPStatus.OK if found.status == HTTPStatus.CREATED else found.status, found.body)

        return await self._through(request, arrival, look_up)

    async def _through(
        self, request: Request, arrival: Arrival, act: Callable[[Refusal | None], Reply]
    ) -> Response:
        trouble = self.asked.take(arrival.operation, arrival.reference) or self.seeded.draw(
            arrival.operation, arrival.reference, arrival.nth
        )
        if trouble is not None:
            self.ledger.meet(arrival, trouble.fault)
        self.in_flight[arrival.operation] += 1
        try:
            reply = await self._meet(request, arrival, trouble, act)
        finally:
            self.in_flight[arrival.operation] -= 1
        if reply is None:
            break_connection(request)
            return _NoReply()
        return _BookedReply(reply, request, self.ledger, arrival)

    async def _meet(
        self,
        request: Request,
        arrival: Arrival,
        trouble: Trouble | None,
        act: Callable[[Refusal | None], Reply],
    ) -> Reply | None:
        """The reply, or None where the connection is to break instead."""
        named = request.headers.get("Request-Deadline")
        deadline = float(named) if named else time.time() + self.times.patience
        fault = trouble.fault if trouble else None
        share = trouble.share if trouble else 0.0
        if fault is Fault.LOSE_REQUEST:
            return None
        if fault is Fault.DOWN:
            return _error(503, "down", "shed before anything was done; try later")
        await self.gates.go_through(arrival.operation, Point.BEFORE)
        await asyncio.sleep(self.times.work / 2)
        if fault is Fault.STALL:
            await _sleep_until(deadline + 0.9 * share * self.times.lateness)
        if named and time.time() > deadline + self.times.lateness:
            self.ledger.meet(arrival, "dropped_as_too_late")
            return None
        reply = act(_ordered_refusal(trouble))
        await self.gates.go_through(arrival.operation, Point.AFTER)
        await asyncio.sleep(self.times.work / 2)
        if fault is Fault.LOSE_REPLY:
            return None
        if fault is Fault.ERROR_AFTER_EFFECT:
            return _error(500, "internal", "something broke")
        if fault in (Fault.STALL, Fault.ANSWER_LATE):
            await _sleep_until(deadline + 0.1 + share * self.times.lateness)
        return reply

    def _decide_once(self, arrival: Arrival, sent: str, decide: Callable[[], Done | Refusal]) -> Reply:
        if arrival.key is not None and self.remembers is not Remembers.NOTHING:
            known = self.ledger.recall(arrival.operation, arrival.key)
            if known is not None and known.sent != sent:
                return _error(409, "key_reused", "this key came with another request before")
            if known is not None:
                return Reply(known.status, known.body)
        decision = decide()
        if isinstance(decision, Refusal):
            reply = _error(decision.status, decision.code, decision.message)
            keep = Remembered(sent, reply.status, reply.body) if self.remembers is Remembers.ALL else None
            self.ledger.refuse(arrival, decision.code, keep)
            return reply
        effect = f"{decision.prefix}_{uuid.uuid4().hex[:16]}"
        reply = Reply(HTTPStatus.CREATED, {"id": effect, **decision.answer})
        keep = None if self.remembers is Remembers.NOTHING else Remembered(sent, reply.status, reply.body)
        self.ledger.book(arrival, Entry(effect, decision.kind, decision.answer, decision.undoes), keep)
        return reply


def _ordered_refusal(trouble: Trouble | None) -> Refusal | None:
    if trouble is None or trouble.fault is not Fault.REFUSE:
        return None
    return Refusal(422, trouble.code, "refused by request of a test")


def _error(status: int, code: str, message: str) -> Reply:
    return Reply(status, {"error": {"code": code, "message": message}})


async def _sleep_until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - time.time()))


class _BookedReply(JSONResponse):
    """A reply that books its own delivery, if somebody was there to take it."""

    def __init__(self, reply: Reply, request: Request, ledger: Ledger, arrival: Arrival) -> None:
        super().__init__(reply.body, status_code=reply.status)
        self._request, self._ledger, self._arrival = request, ledger, arrival

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        somebody_listens = connection_is_open(self._request)
        await super().__call__(scope, receive, send)
        if somebody_listens:
            self._ledger.delivered(self._arrival, self.status_code)


class _NoReply(Response):
    """Sends nothing: the connection is broken already, and uvicorn has to notice before it would answer a 500."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive, send
        await asyncio.sleep(0)

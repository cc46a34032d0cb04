"""Between a worker and the services: requests and replies that get lost, come late, or come twice.

Rules that hold here: what is on its way arrives whatever becomes of the worker; a request lands no later than its
deadline and the service's `lateness`, because that is what the service declares; each request and each question is
one point at which one fault may happen.
"""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn, Protocol

from saga import errors
from saga.answers import Answer, Pending
from saga.call import Call
from saga.core.promises import Kind
from saga.testing.simulation.chance import Chance
from saga.testing.simulation.ledger import Ledger, Named, Sent
from saga.testing.simulation.machine import Machine, Process
from saga.testing.simulation.service import (
    DOES,
    FAILS_AFTER,
    FAILS_BEFORE,
    MISMATCHES,
    REFUSES,
    SHEDS,
    SHEDS_FOR_LONG,
    SLOW,
    FakeService,
    Reply,
    Request,
)
from saga_worker.effects import LiveEffect
from saga_worker.performer import Handling, Performer

KILLED_BEFORE, KILLED_AFTER, KILLED_HEARING = (
    "the worker is killed before the request leaves",
    "the worker is killed when the request has left",
    "the worker is killed when the reply arrives",
)
FROZEN = "the worker is frozen before the request leaves"
NO_CONNECTION = "no connection"
LOST, UNANSWERED, LATE, LATE_HEARD, TWICE = (
    "the request is lost",
    "the reply is lost",
    "the request lands late",
    "the request lands late, and its reply is heard",
    "the request arrives twice",
)
NO_ANSWER, LAGS, STILL_PENDING = "no answer", "the answer lags behind", "the answer is: pending"

CALL_FAULTS = (
    KILLED_BEFORE, KILLED_AFTER, KILLED_HEARING, FROZEN, NO_CONNECTION, LOST, UNANSWERED, LATE, LATE_HEARD, SHEDS,
    SHEDS_FOR_LONG, MISMATCHES,
    FAILS_BEFORE, FAILS_AFTER, REFUSES, SLOW, TWICE,
)  # fmt: skip
PROBE_FAULTS = (KILLED_BEFORE, KILLED_AFTER, NO_ANSWER, LAGS, STILL_PENDING)
TRANSIT_S = 0.01
"""The longest that a request, or a reply, is on its way when nothing is wrong."""


class Host(Protocol):
    """What the network needs to know of the simulation around it."""

    machine: Machine
    chance: Chance
    ledger: Ledger
    on_their_way: int
    """Requests that have left and not arrived yet."""

    def fault(self, effect: LiveEffect, point: str, *, probe: bool) -> str | None:
        """What happens to this request, or to this question; None: nothing."""
        ...

    def refusal(self, effect: LiveEffect) -> tuple[str, str]:
        """The code and the message of a refusal of it."""
        ...

    def lateness(self, effect: LiveEffect, call: Call) -> float:
        """After how many seconds a request lands that lands late."""
        ...

    def service(self, effect: LiveEffect) -> FakeService:
        """The fake of the effect's service."""
        ...

    def named(self, effect: LiveEffect, call: Call) -> Named:
        """Which effect it is, for people and for the ledger."""
        ...

    def value(self, effect: LiveEffect, call: Call) -> Any:
        """What a success of it gives."""
        ...

    def durable(self, named: Named, attempt: int) -> bool:
        """Whether the intent of this attempt is committed."""
        ...

    def killed(self, process: Process) -> None:
        """The process is to die now."""
        ...


class StandIn(Performer):
    """The production performer, with the network in the place of the steps' own code."""

    def __init__(self, threads: int, network: Network) -> None:
        super().__init__(threads)
        self._network = network

    def body(self, effect: LiveEffect, call: Call) -> Handling:
        """A request to the fake service."""
        if effect.handlers.is_async:
            checked = self._network.now
            return True, lambda: self._network.request(effect, call, checked)
        return False, lambda: self._network.request_blocking(effect, call)

    def question(self, effect: LiveEffect, call: Call) -> Handling:
        """A question to the fake service."""
        assert effect.handlers.probe is not None, f"{effect.identity} has no probe"
        if effect.handlers.probe.is_async:
            return True, lambda: self._network.ask(effect, call)
        return False, lambda: self._network.status(effect, call, lag=0.5)


class Network:
    """The way from one worker to all services."""

    def __init__(self, host: Host, process: Process) -> None:
        """Nothing on its way."""
        self._host = host
        self._process = process

    @property
    def now(self) -> float:
        """Seconds of the simulation."""
        return self._host.machine.now

    async def request(self, effect: LiveEffect, call: Call, checked: float) -> Any:
        """Send a request and wait for its reply, which may never come. checked: when the worker saw that it may."""
        named = self._host.named(effect, call)
        fault = self._host.fault(effect, _point("call", named, call), probe=False)
        if fault == KILLED_BEFORE:
            await self._die()
        if fault == FROZEN:
            await self._freeze(effect)
        if fault == NO_CONNECTION:
            raise errors.NotExecuted("connection refused", rule="connect")
        self._note(named, effect, call, checked)
        heard: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._launch(named, effect, call, fault, heard)
        if fault == KILLED_AFTER:
            await self._die()
        if fault == LATE_HEARD:  # a body that does not let itself be cancelled
            while not heard.done():
                try:
                    await asyncio.shield(heard)
                except asyncio.CancelledError:
                    continue
        reply = await heard
        if fault == KILLED_HEARING:
            await self._die()
        if reply.error is not None:
            raise reply.error
        return reply.value

    def request_blocking(self, effect: LiveEffect, call: Call) -> Any:
        """The same for a `def` body: it has no time to wait, so the request lands now or never."""
        host, named = self._host, self._host.named(effect, call)
        fault = host.fault(effect, _point("call", named, call), probe=False)
        self._note(named, effect, call, host.machine.now)
        if fault == LOST:
            raise TimeoutError("no reply")
        request = Request(
            named,
            call.attempt,
            effect.arguments_text,
            host.value(effect, call),
            fault or "",
            host.refusal(effect),
        )
        reply, _ = host.service(effect).arrive(request, host.machine.now)
        if fault == UNANSWERED:
            raise TimeoutError("no reply")
        if reply.error is not None:
            raise reply.error
        return reply.value

    async def ask(self, effect: LiveEffect, call: Call) -> Answer[Any]:
        """Ask the status endpoint."""
        named = self._host.named(effect, call)
        fault = self._host.fault(effect, _point("ask about", named, call), probe=True)
        if fault == KILLED_BEFORE:
            await self._die()
        if fault == NO_ANSWER:
            raise ConnectionError("status is down")
        if fault == STILL_PENDING:
            return Pending(retry_after=0.05)
        await self._travel(f"question {named}")
        answer = self.status(effect, call, lag=0.999 if fault == LAGS else 0.0)
        if fault == KILLED_AFTER:
            await self._die()
        await self._travel(f"answer {named}")
        return answer

    def status(self, effect: LiveEffect, call: Call, *, lag: float) -> Answer[Any]:
        """What the status endpoint says; `lag` is a share of the declared staleness."""
        host, promises = self._host, effect.step.service.promises
        named = host.named(effect, call)
        seconds = lag * promises.staleness.total_seconds()
        return host.service(effect).status(named, host.machine.now, seconds, wanted=call.wanted)

    def _launch(
        self, named: Named, effect: LiveEffect, call: Call, fault: str | None, heard: asyncio.Future[Reply]
    ) -> None:
        """Put the request on its way; what it meets there does not depend on the worker any more."""
        host, process = self._host, self._process
        service = host.service(effect)
        does = fault if fault in DOES else ""
        request = Request(
            named,
            call.attempt,
            effect.arguments_text,
            host.value(effect, call),
            does or "",
            host.refusal(effect),
        )
        lateness = effect.step.service.promises.lateness.total_seconds()

        def hear(reply: Reply) -> None:
            if not heard.done():
                heard.set_result(reply)

        def answer(reply: Reply) -> None:
            if fault not in {UNANSWERED, LATE}:
                host.machine.later(self._transit(f"reply {named}"), lambda: process.inside(hear, reply))

        def arrive() -> None:
            reply, takes = service.arrive(request, host.machine.now)
            if takes:
                host.machine.later(takes, finish)
            else:
                host.on_their_way -= 1
                answer(reply)

        def finish() -> None:
            host.on_their_way -= 1
            answer(service.finish(request, host.machine.now))

        after = self._transit(f"request {named}")
        if fault in {LATE, LATE_HEARD}:
            after = host.lateness(effect, call)
        if fault != LOST:
            host.on_their_way += 1
            host.machine.later(after, arrive)
        if fault == TWICE:
            host.on_their_way += 1
            host.machine.later(after + lateness * host.chance.share(f"twice {named}") * 0.9, arrive)

    def _note(self, named: Named, effect: LiveEffect, call: Call, checked: float) -> None:
        host = self._host
        durable = host.durable(named, call.attempt)
        now, arguments = host.machine.now, effect.arguments_text
        host.ledger.sent.append(
            Sent(now, checked, named, call.attempt, arguments, self._process.name, durable)
        )

    def _transit(self, point: str) -> float:
        return TRANSIT_S * self._host.chance.share(point)

    async def _travel(self, point: str) -> None:
        await asyncio.sleep(self._transit(point))

    async def _die(self) -> NoReturn:
        self._host.killed(self._process)
        await asyncio.get_running_loop().create_future()
        raise AssertionError("a killed process does not go on")

    async def _freeze(self, effect: LiveEffect) -> None:
        """Between the last check and the send: what `lateness` must cover (S11)."""
        seconds = effect.step.service.promises.lateness.total_seconds() * 0.5
        self._process.freeze()
        self._host.machine.later(seconds, self._process.thaw)
        await asyncio.sleep(0)


def faults_of(effect: LiveEffect, known: tuple[str, ...]) -> tuple[str, ...]:
    """Which of these can happen to this request, given how the step is declared."""
    if effect.policy.kind is Kind.READS:
        known = tuple(f for f in known if f not in {LATE, LATE_HEARD, SLOW})
    if not effect.handlers.is_async:  # a `def` body has no time to wait
        known = tuple(f for f in known if f in {LOST, UNANSWERED, SHEDS, FAILS_AFTER, REFUSES})
    if not effect.step.service.promises.dedups:  # no caller can help it when a network doubles a request
        known = tuple(f for f in known if f != TWICE)
    return known


def _point(word: str, named: Named, call: Call) -> str:
    return f"{word} {named}, attempt {call.attempt}"

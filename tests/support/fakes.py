"""Services that keep a ledger in memory, and steps that call them: user code, as odd as a test wants it.

Rules: a ledger dedups by key as its service promises, and only then; what a call does is planned beforehand, call
by call, and a plan that ran out means that all is well. Nothing here knows the engine.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from saga import Answer, Call, Landed, NotFound, Refused, Service, Step, step
from saga.errors import NotExecuted

Move = Callable[["Ledger", Call, str], Awaitable[str]]
Remembers = Literal["nothing", "successes", "all"]


@dataclass
class Ledger:
    """One service in memory. `landed`: key -> how often its effect happened. `calls`: step and key of each call."""

    remembers: Remembers = "all"
    landed: Counter[str] = field(default_factory=Counter)
    undone: Counter[str] = field(default_factory=Counter)
    results: dict[str, str] = field(default_factory=dict)
    refusals: set[str] = field(default_factory=set)
    calls: list[tuple[str, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    plans: dict[str, deque[Move]] = field(default_factory=lambda: defaultdict(deque))
    answers: dict[str, deque[Any]] = field(default_factory=lambda: defaultdict(deque))

    def clear(self) -> None:
        """Begin anew: every test database derives the same keys."""
        fresh = Ledger(self.remembers)
        for name in vars(fresh):
            setattr(self, name, getattr(fresh, name))

    def plan(self, name: str, *moves: Move) -> None:
        """What the next calls of a step do."""
        self.plans[name].extend(moves)

    def answer(self, name: str, *answers: Any) -> None:
        """What the next probes of a step answer; an exception is raised."""
        self.answers[name].extend(answers)

    def names(self) -> list[str]:
        """The steps that were called, in order."""
        return [name for name, _ in self.calls]

    def standing(self) -> int:
        """Effects that happened and were not undone."""
        return sum(self.landed.values()) - sum(self.undone.values())

    async def act(self, name: str, call: Call, what: str) -> str:
        """One call of a step."""
        self.calls.append((name, call.key))
        plan = self.plans[name]
        move = plan.popleft() if plan else land
        return await move(self, call, what)

    def land(self, call: Call, what: str) -> str:
        """The effect happens, or is found under its key."""
        if self.remembers == "all" and call.key in self.refusals:
            raise Refused("no", "stored")
        if self.remembers != "nothing" and call.key in self.results:
            return self.results[call.key]
        self.results[call.key] = f"{what} done"
        if call.effect_key is None:
            self.landed[call.key] += 1
        else:
            self.undone[call.effect_key] += 1
        return self.results[call.key]

    def ask(self, name: str, call: Call) -> Any:
        """What a probe of a step answers."""
        self.asked.append(name)
        planned = self.answers[name]
        found = planned.popleft() if planned else None
        if isinstance(found, BaseException) and not isinstance(found, Refused):
            raise found
        if found is not None:
            return found
        return Landed(self.results[call.key]) if call.key in self.results else NotFound()


async def land(ledger: Ledger, call: Call, what: str) -> str:
    """All is well."""
    return ledger.land(call, what)


async def lose_reply(ledger: Ledger, call: Call, what: str) -> str:
    """The effect happens, the answer is lost."""
    ledger.land(call, what)
    raise TimeoutError("the reply was lost")


async def lose_request(ledger: Ledger, call: Call, what: str) -> str:
    """Nothing happens, and nobody can tell."""
    raise ConnectionResetError("the connection was reset")


async def refuse(ledger: Ledger, call: Call, what: str) -> str:
    """A final no."""
    if ledger.remembers == "all":
        ledger.refusals.add(call.key)
    raise Refused("no", f"{what} refused")


async def away(ledger: Ledger, call: Call, what: str) -> str:
    """Certainly not executed."""
    raise NotExecuted("the service is away")


class Gate:
    """Holds a call until it is opened; `reached` says that a call is held."""

    def __init__(self, then: Move = land) -> None:
        self.reached = asyncio.Event()
        self.open = asyncio.Event()
        self._then = then

    async def __call__(self, ledger: Ledger, call: Call, what: str) -> str:
        self.reached.set()
        await self.open.wait()
        return await self._then(ledger, call, what)


class Deaf(Gate):
    """A call that does not hear when it is cancelled, and goes on until the gate opens."""

    async def __call__(self, ledger: Ledger, call: Call, what: str) -> str:
        self.reached.set()
        try:
            await self.open.wait()
        except asyncio.CancelledError:  # the worker's; a second one is the end of the test's loop
            await self.open.wait()
        return await self._then(ledger, call, what)


class ThreadGate:
    """The same for `def` steps."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()

    def hold(self) -> None:
        """Wait in the thread."""
        self.reached.set()
        assert self.open.wait(30)


def make_step(
    ledger: Ledger,
    name: str,
    *,
    probe: bool = True,
    undo: bool = True,
    service: Service | None = None,
    timeout: str = "5s",
    **options: Any,
) -> Step[[str], str]:
    """A step of the ledger's service, with a probe and a compensation that can be asked about."""

    async def body(call: Call, what: str) -> str:
        return await ledger.act(name, call, what)

    effect = not (options.get("reads") or options.get("repeatable"))
    if probe and effect and ledger.remembers == "nothing":
        options.setdefault("watch_for", "1h")
    if not undo:
        options.setdefault("undo", None if options.get("reads") else "nothing")
    made = step(service or service_of(ledger), timeout=timeout, name=name, **options)(body)
    if probe:

        async def status(call: Call, what: str) -> Answer[str]:
            found: Answer[str] = ledger.ask(name, call)
            return found

        made.status(status)
    if undo:
        _add_undo(made, ledger, f"undo_{name}", probe=probe)
    return made


def _add_undo(made: Step[[str], str], ledger: Ledger, name: str, *, probe: bool) -> None:
    async def undo(call: Call, result: str, what: str) -> None:
        assert result.endswith("done")
        assert call.effect_key is not None
        await ledger.act(name, call, what)

    compensation = made.compensate(undo)
    if probe:

        async def undo_status(call: Call, result: str, what: str) -> Answer[None]:
            found = ledger.ask(name, call)
            return Landed(None) if isinstance(found, Landed) else found

        compensation.status(undo_status)


def service_of(ledger: Ledger, *, lateness: str = "0s", staleness: str = "0s") -> Service:
    """A service that promises what the ledger does."""
    lifetime = None if ledger.remembers == "nothing" else "24h"
    return Service(
        "fake", remembers=ledger.remembers, key_lifetime=lifetime, lateness=lateness, staleness=staleness
    )

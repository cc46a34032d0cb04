"""The fake services in the place of the steps' own bodies and probes.

Rules that hold here: what is planned for a request happens to it, and nothing else; a `def` body is waited for like an async one, and is never cancelled from outside, because a thread
cannot be; a function of the test that replies may refuse, and the refusal is then the service's own.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from saga import errors
from saga.call import Call
from saga.core.model import Direction
from saga.testing.planning import Planned, Plans
from saga.testing.simulation.ledger import Ledger
from saga.testing.simulation.network import NO_ANSWER, Network, StandIn
from saga.testing.simulation.service import REFUSES, FakeService, Reply, Request
from saga_worker.effects import LiveEffect
from saga_worker.performer import Handling

CLIENTS_SHARE = 0.99
"""A `def` body's own client gives up before the budget ends: by then the thread would be open, and not cancelled."""
SLOW_S = 0.2
"""How long a service takes that takes its time, in seconds."""


class Acting(StandIn):
    """The fake services in the place of bodies and probes, of `def` ones too: what they wait for passes by itself."""

    def __init__(self, network: Network) -> None:
        super().__init__(1, network)
        self._way = network

    def body(self, effect: LiveEffect, call: Call) -> Handling:
        """A request."""
        if effect.handlers.is_async:
            checked = self._way.now
            return True, lambda: self._way.request(effect, call, checked)
        return True, lambda: self._blocking(effect, call)

    def question(self, effect: LiveEffect, call: Call) -> Handling:
        """A question."""
        return True, lambda: self._way.ask(effect, call)

    async def _blocking(self, effect: LiveEffect, call: Call) -> Any:
        # It is never cancelled from outside: a thread that was cancelled before it began has sent nothing.
        limit = asyncio.timeout(call.remaining() * CLIENTS_SHARE)
        try:
            async with limit:
                return await self._way.request(effect, call, self._way.now)
        except TimeoutError:
            if limit.expired():
                raise errors.Unknown("no reply within the client's own timeout") from None
            raise


class Refusing(FakeService):
    """A service whose reply may be a refusal that a function of the test has raised."""

    def finish(self, request: Request, now: float) -> Reply:
        """Do what was asked, or refuse."""
        said = request.value
        if isinstance(said, errors.Refused):
            request = replace(request, does=REFUSES, refusal=(said.code, said.message))
        return super().finish(request, now)


class Planning:
    """What the network asks a world: what happens to a request, and what the services reply with.

    plans: what the test has said. raised: what the test's own code has raised meanwhile.
    """

    plans: Plans
    ledger: Ledger
    raised: list[BaseException]
    _planned: Planned | None = None
    _services: dict[str, FakeService]

    def fault(self, effect: LiveEffect, point: str, *, probe: bool) -> str | None:
        """The next of the plans of this step."""
        self._planned = None
        if probe:
            return (
                NO_ANSWER if self.plans.silent(effect.handlers) else self.unplanned(effect, point, probe=True)
            )
        self._planned = self.plans.take(effect.handlers)
        if self._planned is not None:
            return self._planned.fault
        return self.unplanned(effect, point, probe=False)

    def unplanned(self, effect: LiveEffect, point: str, *, probe: bool) -> str | None:
        """Nothing happens that was not planned; but in a sweep."""
        del effect, point, probe
        return None

    def refusal(self, effect: LiveEffect) -> tuple[str, str]:
        """The code and the message of a refusal."""
        del effect
        return Planned("").refusal if self._planned is None else self._planned.refusal

    def lateness(self, effect: LiveEffect, call: Call) -> float:
        """As planned, or in the middle of what the service declares."""
        if self._planned is not None and self._planned.after is not None:
            return self._planned.after
        return call.remaining() + effect.step.service.promises.lateness.total_seconds() * 0.5

    def value(self, effect: LiveEffect, call: Call) -> Any:
        """What the test says, or what can be made up."""
        if effect.direction is Direction.BACKWARD:
            return None
        try:
            return self.plans.value(effect, call.key)
        except Exception as error:
            self.raised.append(error)
            raise

    def service(self, effect: LiveEffect) -> FakeService:
        """The fake of the effect's service."""
        one = effect.step.service
        if one.name not in self._services:
            self._services[one.name] = Refusing(one.name, one.promises, self.ledger, SLOW_S)
        return self._services[one.name]

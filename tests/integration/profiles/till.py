"""A shop that charges once, through a profile, and the real engine and worker around it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from saga import Answer, Call, Retry, SagaDefinition, Service, saga, step
from saga.http import classify, client
from tests.integration.profiles.provider import Provider
from tests.support.working import Working, working

QUICK = Retry(attempts=5, first="1ms", most="2ms")


@dataclass(frozen=True, slots=True)
class Till:
    """The worker, and the saga that it serves: one charge, of which the result is the payment's id."""

    working: Working
    buy: SagaDefinition[int, str]

    async def bought(self) -> str:
        """The payment's id."""
        return str(await self.working.run(self.buy, 100))

    async def ended(self) -> str:
        """The customer's word at the end."""
        return await self.working.ended(self.buy, 100)

    async def told(self) -> str:
        """The customer's word at this moment."""
        return str((await (await self.working.engine.start(self.buy, 100, key="k")).view()).status)

    async def parked(self) -> dict[str, Any]:
        """The saga's row when it is parked."""
        return await self.working.parked(self.buy, 100)


@asynccontextmanager
async def till(
    database_url: str, provider: Provider, *, probe: bool = True, **promises: Any
) -> AsyncGenerator[Till]:
    """Charges at the provider, by its profile, with its ready probe if there is one and it is wanted.

    promises: overrides of the profile; lateness is none unless they say otherwise.
    """
    http = client(provider.url)
    given = {"lateness": "0s", **provider.overrides, **promises}
    service = Service.from_profile(provider.profile, name="psp", classify=classify, **given)
    provider.service = service

    async def charge(call: Call, amount: int, order: str) -> str:
        reply = await http.post(provider.path, **provider.sending(call, amount))
        reply.raise_for_status()
        return provider.read(reply.json(), reply.status_code)

    asks = provider.probe(http) if probe else None
    watch = None if service.promises.dedups else "1h"
    paid = step(service, timeout="5s", undo="nothing", retry=QUICK, watch_for=watch)(charge)
    if asks is not None:

        async def status(call: Call, *_: object, **given: object) -> Answer[str]:
            return await asks(call, **given)

        paid.status(status)

    @saga("buy")
    async def buy(amount: int) -> str:
        return await paid(amount, "5O19")

    try:
        async with working(database_url, buy) as w:
            yield Till(w, buy)
    finally:
        await http.aclose()

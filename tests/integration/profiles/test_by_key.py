# ruff: noqa: ARG002, RUF012 - all providers have one signature, and their class attributes are data
"""A service of one's own that can be asked by the key, and void it: `probe_by_key`."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from saga.http import Client
from saga.profiles import probe_by_key
from saga.profiles.probes import Probe
from tests.integration.profiles.provider import Body, Provider, served
from tests.integration.profiles.till import till
from tests.support import rows


class OwnService(Provider):
    """Keeps what was paid by its key, and takes `fence=1` for "never, if not yet"."""

    profile = "ietf-idempotency-key"
    overrides = {"remembers": "nothing", "key_lifetime": None, "lateness": "1h", "staleness": "50ms"}

    def __init__(self) -> None:
        super().__init__()
        self.void: set[str] = set()

    def keeps(self, status: int) -> bool:
        return False

    def made(self, number: int, key: str, *, failed: bool = False) -> Body:
        return {"id": f"own_{number}", "key": key}

    def is_question(self, request: Request, body: Body) -> bool:
        return "/by-key/" in request.url.path

    def found(self, request: Request, body: Body) -> Response:
        key = request.url.path.rpartition("/")[2]
        there = [one for one in self.paid if one["key"] == key]
        if there:
            return JSONResponse(there[0])
        if request.query_params.get("fence") == "1":
            assert request.method == "POST"
            self.void.add(key)
        return JSONResponse({}, 410 if key in self.void else 404)

    def probe(self, client: Client) -> Probe[str]:
        return probe_by_key(
            client, "/payments/by-key/{key}", lambda told: str(told["id"]), service=self.service
        )


async def test_what_landed_is_found_by_its_key(database_url: str) -> None:
    """One question, one effect."""
    with served(OwnService()) as provider:
        provider.plan.extend(["lose_reply"])
        async with till(database_url, provider) as shop:
            assert await shop.bought() == "own_0"
    assert (len(provider.requests), provider.questions) == (1, 1)


async def test_s15_a_key_that_is_not_wanted_any_more_is_voided(database_url: str) -> None:
    """Cancelled while in doubt: the probe has the key voided, which settles it long before the quiet would."""
    own = OwnService()
    with served(own) as provider:
        provider.plan.extend(["lose_request"])
        async with till(database_url, provider, voids_by_key=True) as shop:
            handle = await shop.working.engine.start(shop.buy, 100, key="k")
            await rows.until(
                database_url, "k", "EXISTS (SELECT FROM saga.evidence v WHERE v.saga_id = saga.id)"
            )
            await handle.cancel("the customer left")
            assert str((await handle.view(wait="20s")).status) == "declined"
    assert (provider.paid, len(provider.requests), len(own.void)) == ([], 1, 1)
    assert rows.effects_of(database_url, "k")["charge#1", "forward"]["proof"] == "fenced"


async def test_a_service_that_does_not_void_is_never_asked_to(database_url: str) -> None:
    """The same without the promise: it is only asked, and the doubt stays until it is settled."""
    own = OwnService()
    with served(own) as provider:
        provider.plan.extend(["late"])
        async with till(database_url, provider) as shop:
            handle = await shop.working.engine.start(shop.buy, 100, key="k")
            await rows.until(
                database_url, "k", "EXISTS (SELECT FROM saga.evidence v WHERE v.saga_id = saga.id)"
            )
            await handle.cancel("the customer left")
            await rows.until(database_url, "k", "status IN ('completed', 'compensated')")
    assert (len(provider.paid), len(provider.requests), own.void) == (1, 1, set())

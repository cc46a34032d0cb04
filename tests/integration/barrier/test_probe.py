"""The caller's side against the real middleware: each reply and each answer of a barrier, read for what it proves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx
import pytest

from saga import Call, Fenced, Landed, NotFound, Pending, Refused
from saga.barrier import Barrier
from saga.barrier.asgi import BarrierMiddleware
from saga.barrier.probe import action_status, classify, compensation_status, headers
from saga.errors import InProgress, Mismatch
from tests.integration.barrier.place import Place
from tests.integration.barrier.web import Application, Client, calling


@dataclass(frozen=True, slots=True)
class Booking:
    """What the application replies, as a step's type: a number that JSON brings as a text."""

    id: Decimal


@pytest.fixture
def app(place: Place) -> Application:
    return Application(place)


@pytest.fixture
async def client(app: Application, place: Place) -> AsyncGenerator[Client]:
    made = BarrierMiddleware(app, barrier=Barrier(wait="1ms"), begin=place.begin)
    async with calling(made) as one:
        yield one


class Asking:
    """What `saga.http.client` is to a probe, over the application in this process."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def get(self, url: str, **options: Any) -> httpx.Response:
        return await self._client.request("GET", url, **options)

    async def post(self, url: str, **options: Any) -> httpx.Response:
        return await self._client.request("POST", url, **options)


def proof_of(reply: httpx.Response) -> object:
    """What the classifier says of the reply."""
    with pytest.raises(httpx.HTTPStatusError) as caught:
        reply.raise_for_status()
    return classify(caught.value)


async def asked(client: Client, key: str = "k", *, wanted: bool = True) -> object:
    """The ready probe of a step."""
    http: Any = Asking(client)
    return await action_status(http, Booking)(Call.fake(key, wanted=wanted), 1, sku="lamp")


async def test_s36_the_probe_reads_what_became_of_the_action(client: Client, app: Application) -> None:
    """Not found proves nothing; landed brings the step's own type; a stored refusal is returned."""
    assert await asked(client) == NotFound()
    await client.post()
    assert await asked(client) == Landed(Booking(Decimal(7)))
    app.raises = Refused("sold_out", "none is left")
    await client.post("no")
    refused = await asked(client, "no")
    assert isinstance(refused, Refused)
    assert (refused.code, refused.message) == ("sold_out", "none is left")


async def test_s15_the_probe_fences_only_what_is_not_wanted(client: Client, app: Application) -> None:
    """A wanted effect can still be sent again; one that is not wanted is settled by the question, either way."""
    assert await asked(client, wanted=True) == NotFound()
    assert await asked(client, wanted=False) == Fenced()
    assert await asked(client, wanted=True) == Fenced()
    await client.post("landed")
    assert await asked(client, "landed", wanted=False) == Landed(Booking(Decimal(7)))
    late = proof_of(await client.post())
    assert isinstance(late, Refused)
    assert late.code == "fenced"


async def test_s18_in_progress_is_pending_to_a_probe_and_unknown_to_a_step(
    client: Client, app: Application
) -> None:
    """Neither a refusal nor an absence: the other request has not ended, and says when to ask again."""
    app.go_on.clear()
    first = asyncio.create_task(client.post())
    await app.entered.wait()
    assert await asked(client, wanted=False) == Pending(1.0)
    told = proof_of(await client.post())
    assert isinstance(told, InProgress)
    assert told.retry_after == 1.0
    app.go_on.set()
    assert (await first).status_code == 201


async def test_s19_a_mismatch_is_none_of_a_refusal(client: Client, app: Application) -> None:
    """But the application's own 422 is a refusal: the header tells them apart."""
    await client.post()
    assert isinstance(proof_of(await client.post(body="other")), Mismatch)
    app.status, app.chunks = 422, [b'{"error": {"code": "wrong"}}']
    refused = proof_of(await client.post("own"))
    assert isinstance(refused, Refused)
    assert refused.code == "wrong"


async def test_s36_the_probe_of_a_compensation_asks_about_its_own_side(client: Client) -> None:
    """Under the forward key, and never with a fence; done and nothing to undo are both landed."""
    http: Any = Asking(client)
    call = Call.fake("own key", effect_key="k", wanted=False)
    assert headers(call) == {"Idempotency-Key": "k", "Saga-Side": "compensation"}
    assert headers(Call.fake("k")) == {"Idempotency-Key": "k"}
    ask = compensation_status(http)
    assert await ask(call, Booking(Decimal(7)), "lamp") == NotFound()
    await client.post()
    await client.compensate()
    assert await ask(call, Booking(Decimal(7)), "lamp") == Landed(None)


async def test_s21_a_question_that_fails_is_no_evidence(place: Place) -> None:
    """A 404 of somebody else, a proxy perhaps, is not the service's "not found"."""

    async def proxy(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async with calling(proxy) as client:
        with pytest.raises(httpx.HTTPStatusError):
            await asked(client)

"""S36 where the transaction cannot be shared: never twice, and honest about what is not known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from saga import Refused
from saga.barrier import Barrier
from saga.barrier.asgi import SeparateBarrierMiddleware
from tests.integration.barrier.place import Place
from tests.integration.barrier.web import Application, Client, calling, code_of


@pytest.fixture
def app(place: Place) -> Application:
    made = Application(place)
    made.shared = False
    return made


@pytest.fixture
async def client(app: Application, place: Place) -> AsyncGenerator[Client]:
    made = SeparateBarrierMiddleware(app, barrier=Barrier(), begin=place.begin, largest=1000)
    async with calling(made) as one:
        yield one


async def test_s36_a_reply_that_was_stored_is_replayed(client: Client, app: Application) -> None:
    """A success as it was, and a refusal as it was, raised or replied."""
    assert [(await client.post()).json() for _ in range(2)] == [{"id": 7}] * 2
    app.status = 404
    assert [(await client.post("no")).status_code for _ in range(2)] == [404, 404]
    app.raises = Refused("sold_out")
    assert [code_of(await client.post("raised")) for _ in range(2)] == ["sold_out"] * 2
    assert app.ran == 3


@pytest.mark.parametrize("trouble", ["exception", "500"])
async def test_s36_what_nobody_knows_stays_in_progress(
    client: Client, app: Application, trouble: str
) -> None:
    """It may have happened: never run again, never fenced, never undone, until a person looks."""
    if trouble == "exception":
        app.raises = KeyError("a bug")
    app.status = 500
    assert (await client.post()).status_code == 500
    for reply in (await client.post(), await client.compensate()):
        assert (reply.status_code, code_of(reply)) == (409, "in_progress")
    assert (await client.status()).json()["state"] == "started"
    assert (await client.fence()).json()["state"] == "started"
    assert app.ran == 1


async def test_s36_not_now_gives_the_key_back(client: Client, app: Application) -> None:
    """The application says by its reply that it did nothing."""
    app.status = 429
    assert (await client.post()).status_code == 429
    assert app.place.rows() == []
    app.status = 201
    assert (await client.post()).status_code == 201


async def test_s36_two_requests_at_once_never_both_run(client: Client, app: Application) -> None:
    """The second is told in progress, while the first runs."""
    app.go_on.clear()
    first = asyncio.create_task(client.post())
    await app.entered.wait()
    assert (await client.post()).status_code == 409
    app.go_on.set()
    assert (await first).status_code == 201
    assert app.ran == 1


async def test_s36_a_reply_too_large_to_keep_goes_through_and_is_replayed_without_its_body(
    client: Client, app: Application
) -> None:
    """The work is done, so that the client gets its reply; later ones get its status."""
    app.chunks = [b"x" * 600] * 5
    first, second = await client.post(), await client.post()
    assert (len(first.content), first.status_code) == (3000, 201)
    assert (second.content, second.status_code) == (b"", 201)
    assert app.ran == 1


async def test_s36_a_compensation_undoes_what_was_stored(client: Client, app: Application) -> None:
    """Its own row, under the forward key; and a fence before the action keeps the action away."""
    await client.post()
    assert [(await client.compensate()).status_code for _ in range(2)] == [201, 201]
    assert app.ran == 2
    assert (await client.compensate("never came")).json()["state"] == "skipped"
    assert (await client.post("never came")).status_code == 410

"""S36 over HTTP, with row, reply and work in one transaction: each request happens once, and is answered alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import psycopg
import pytest

from saga import Refused
from saga.barrier import Barrier
from saga.barrier.asgi import BarrierMiddleware, current
from saga.barrier.replies import NOT_FINAL, Message
from tests.integration.barrier.place import Place
from tests.integration.barrier.web import Application, Client, calling, code_of


@pytest.fixture
def app(place: Place) -> Application:
    return Application(place)


@pytest.fixture
async def client(app: Application, place: Place) -> AsyncGenerator[Client]:
    made = BarrierMiddleware(app, barrier=Barrier(), begin=place.begin, largest=1000)
    async with calling(made) as one:
        yield one


async def test_s36_a_reply_is_stored_with_the_work_and_replayed(client: Client, app: Application) -> None:
    """Status, body and the headers that are about the reply; a cookie is about its first client."""
    first, second = await client.post(), await client.post('"k"')
    assert (first.status_code, first.json(), first.headers["set-cookie"]) == (201, {"id": 7}, "a=b")
    assert (second.status_code, second.json(), second.headers["location"]) == (201, {"id": 7}, "/7")
    assert "set-cookie" not in second.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert (app.ran, app.place.works(), app.bodies) == (1, 1, [b'"b"'])
    assert (await client.status()).json()["result"] == {"id": 7}


async def test_s36_a_body_that_is_no_text_is_replayed_byte_for_byte(client: Client, app: Application) -> None:
    """What is stored is the reply, whatever it is made of."""
    app.chunks, app.kind = [b"\xff\x00", b"\xfe"], b"image/x"
    assert [(await client.post()).content for _ in range(2)] == [b"\xff\x00\xfe"] * 2
    assert (await client.status()).json()["result"] is None


async def test_s36_a_final_refusal_rolls_back_and_is_stored(client: Client, app: Application) -> None:
    """The no is for ever, as the first one was told, and what was done before it is gone."""
    app.status, app.chunks = 422, [b'{"error": {"code": "sold_out", "message": "none"}}']
    first, second = await client.post(), await client.post()
    assert (first.status_code, second.status_code, first.json()) == (422, 422, second.json())
    assert (app.ran, app.place.works()) == (1, 0)
    told = (await client.status()).json()
    assert (told["state"], told["result"]) == ("refused", {"code": "sold_out", "message": "none"})


async def test_s36_a_refusal_may_be_raised(client: Client, app: Application) -> None:
    """It becomes a 400 in the shape that our classifiers take for a refusal."""
    app.raises = Refused("sold_out", "none is left")
    for _ in range(2):
        reply = await client.post()
        assert (reply.status_code, code_of(reply)) == (400, "sold_out")
    assert (app.ran, app.place.works()) == (1, 0)


@pytest.mark.parametrize("status", [500, 503, *sorted(NOT_FINAL)])
async def test_s36_a_reply_that_is_not_final_rolls_back_and_stores_nothing(
    client: Client, app: Application, status: int
) -> None:
    """The next request with the key runs anew, and nothing is left of the first."""
    app.status = status
    assert (await client.post()).status_code == status
    assert (app.place.rows(), app.place.works()) == ([], 0)
    app.status = 201
    assert (await client.post()).status_code == 201
    assert (app.ran, app.place.works()) == (2, 1)


async def test_s36_an_exception_rolls_back_and_stores_nothing(client: Client, app: Application) -> None:
    """As a 5xx."""
    app.raises = KeyError("a bug")
    assert (await client.post()).status_code == 500
    assert (app.place.rows(), app.place.works()) == ([], 0)


async def test_s36_a_reply_too_large_to_keep_rolls_back(client: Client, app: Application) -> None:
    """It is not buffered to its end, and nothing was done, which is said."""
    app.chunks = [b"x" * 600] * 100
    reply = await client.post()
    assert (reply.status_code, code_of(reply)) == (500, "reply_too_large")
    assert (app.place.rows(), app.place.works()) == ([], 0)


async def test_s36_a_request_too_large_is_not_read_to_its_end(app: Application, place: Place) -> None:
    """Nothing is buffered without bound: after the limit, no more is taken."""
    taken, sent = 0, list[Message]()

    async def receive() -> Message:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": b"x" * 600, "more_body": True}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/book", "headers": [(b"idempotency-key", b"k")]}
    made = BarrierMiddleware(app, barrier=Barrier(), begin=place.begin, largest=1000)
    await made(scope, receive, send)
    assert (taken, sent[0]["status"], app.ran, place.rows()) == (2, 413, 0, [])


async def test_s36_a_client_that_goes_away_before_its_request_is_whole_did_nothing(
    app: Application, place: Place
) -> None:
    """Half a request is none."""

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(_: Message) -> None:
        raise AssertionError("there is nobody to reply to")

    scope = {"type": "http", "method": "POST", "path": "/book", "headers": [(b"idempotency-key", b"k")]}
    await BarrierMiddleware(app, barrier=Barrier(), begin=place.begin)(scope, receive, send)
    assert (app.ran, place.rows()) == (0, [])


async def test_s19_another_request_under_the_key_is_a_mismatch_and_no_refusal(client: Client) -> None:
    """422, and not in the shape of a refusal, so that nobody takes it for one."""
    await client.post()
    for reply in (await client.post(body="other"), await client.post(path="/other")):
        assert (reply.status_code, reply.headers["content-type"]) == (422, "text/plain; charset=utf-8")


async def test_s36_a_request_that_changes_something_needs_one_key(client: Client, app: Application) -> None:
    """No key, an endless one, and a side that is none are refused before anything runs; reading needs none."""
    assert code_of(await client.post(None)) == "key_missing"
    for reply in (await client.post("x" * 256), await client.post(saga_side="both"), await client.post("")):
        assert (reply.status_code, code_of(reply)) == (400, "key_invalid")
    assert app.ran == 0
    assert (await client.request("GET", "/book")).status_code == 201


async def test_s36_a_key_may_be_optional(app: Application, place: Place) -> None:
    """Without a key the application has no barrier, and is told so when it asks for it."""
    app.shared = False
    made = BarrierMiddleware(app, barrier=Barrier(), begin=place.begin, required=False)
    async with calling(made) as client:
        assert [(await client.post(None)).status_code for _ in range(2)] == [201, 201]
    assert (place.works(), place.rows()) == (2, [])
    with pytest.raises(LookupError, match="no barrier"):
        current({})


async def test_s36_no_byte_is_sent_before_the_commit(app: Application, place: Place) -> None:
    """A commit that fails is a 500: the client never saw a success."""

    class Broken:
        async def __aenter__(self) -> Any:
            self.connection = await psycopg.AsyncConnection.connect(place.url)
            return self.connection

        async def __aexit__(self, *_: object) -> None:
            await self.connection.close()
            raise psycopg.OperationalError("the connection was lost around COMMIT")

    async with calling(BarrierMiddleware(app, barrier=Barrier(), begin=Broken)) as client:
        assert (await client.post()).status_code == 500
    assert (app.ran, place.works(), place.rows()) == (1, 0, [])


async def test_s36_two_requests_at_once_are_one(client: Client, app: Application) -> None:
    """The second waits for the first on the database's lock, and gets its reply."""
    app.go_on.clear()
    first = asyncio.create_task(client.post())
    await app.entered.wait()
    second = asyncio.create_task(client.post())
    await app.place.waits()
    app.go_on.set()
    assert [(await one).json() for one in (first, second)] == [{"id": 7}, {"id": 7}]
    assert (app.ran, app.place.works()) == (1, 1)


async def test_s18_who_does_not_wait_is_told_in_progress(app: Application, place: Place) -> None:
    """409 with Retry-After, to a request and to a question with a fence; never a refusal, never a fence."""
    app.go_on.clear()
    made = BarrierMiddleware(app, barrier=Barrier(wait="1ms"), begin=place.begin)
    async with calling(made) as client:
        first = asyncio.create_task(client.post())
        await app.entered.wait()
        for reply in (await client.post(), await client.fence()):
            assert (reply.status_code, code_of(reply), reply.headers["retry-after"]) == (
                409,
                "in_progress",
                "1",
            )
        assert (await client.status()).status_code == 404
        app.go_on.set()
        assert (await first).status_code == 201


async def test_s36_the_status_route_tells_and_fences(client: Client, app: Application) -> None:
    """A late request after the fence is answered 410, and never runs."""
    unseen = await client.status()
    assert (unseen.status_code, unseen.json()["state"]) == (404, "not_found")
    assert (await client.fence()).json()["state"] == "fenced"
    late = await client.post()
    assert (late.status_code, code_of(late)) == (410, "fenced")
    await client.post("other")
    assert (await client.fence("other")).json()["result"] == {"id": 7}
    assert app.ran == 1
    assert (await client.status("other")).headers["cache-control"] == "no-store"


async def test_s36_a_question_that_makes_no_sense_is_refused(client: Client) -> None:
    """A fence is for actions, and a GET changes nothing."""
    assert (await client.fence(side="compensation")).status_code == 400
    assert (await client.status(side="both")).status_code == 400
    assert (await client.request("GET", "/barrier/k", params={"fence": "1"})).status_code == 405
    assert (await client.request("DELETE", "/barrier/k")).status_code == 405
    assert (await client.status("x" * 256)).status_code == 404


async def test_s36_a_compensation_over_http(client: Client, app: Application) -> None:
    """Skipped where nothing came; else run once, under the forward key, and asked about by side."""
    skipped = await client.compensate()
    assert (skipped.status_code, skipped.json()["state"], app.ran) == (200, "skipped", 0)
    assert (await client.post()).status_code == 410
    await client.post("done")
    for _ in range(2):
        assert (await client.compensate("done")).status_code == 201
    assert app.ran == 2
    assert (await client.status("done", "compensation")).json()["state"] == "done"
    assert (await client.status("k", "compensation")).json()["state"] == "skipped"

"""Our clients keep the attempt's budget, say whether anything was sent, and end what they give up with a reset (S11)."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import requests

import saga.aiohttp
import saga.grpc
import saga.requests
from saga import Call, NotExecuted
from saga.call import current_call
from saga.testing import hostile, http2
from saga.testing.hostile import Behaviour, Hostile
from tests.support.clients import steps
from tests.support.clients.steps import Client

EVERY: dict[str, Client] = {**steps.HTTP, **steps.AWS, **steps.GRPC}
RESETS: dict[str, Client] = {**steps.HTTP, **steps.AWS}
LARGE = b"x" * 32_000_000


@pytest.fixture(autouse=True)
async def closed() -> AsyncIterator[None]:
    """What a test opened is closed."""
    yield
    await steps.close()


async def run(step: Callable[[str, Any], Any], url: str, timeout: str) -> BaseException | None:
    """What one attempt with this budget raises."""
    token = current_call.set(Call.fake(timeout=timeout))
    try:
        result = await asyncio.to_thread(step, url, None)
        if result is not None and asyncio.iscoroutine(result):
            await result
    except Exception as error:  # noqa: BLE001 - what it raises is what is looked at
        return error
    finally:
        current_call.reset(token)
    return None


def quiet(name: str) -> Behaviour:
    """Reads all and never answers, in the client's protocol."""
    return http2.reads_and(http2.nothing) if name in steps.GRPC else hostile.never_answers


@pytest.mark.parametrize("name", EVERY)
async def test_without_budget_nothing_is_sent(name: str) -> None:
    """The last check is the client's, and it is a proof."""
    with Hostile(quiet(name)) as server:
        caught = await run(EVERY[name].step, server.url, "0s")
        server.end()
    assert isinstance(caught, NotExecuted), repr(caught)
    assert (caught.rule, server.complete) == ("budget", 0)


@pytest.mark.parametrize("name", EVERY)
async def test_the_budget_is_a_total_deadline(name: str) -> None:
    """Whatever the client's own timeout says; what was perhaps sent is unknown."""
    client = EVERY[name]
    with Hostile(quiet(name)) as server:
        started = time.monotonic()
        caught = await run(client.step, server.url, "400ms")
        took = time.monotonic() - started
        server.end()
    assert caught is not None
    assert client.classify(caught) is None
    assert server.complete == 1
    assert took < 3


@pytest.mark.parametrize("name", RESETS)
async def test_a_request_given_up_is_reset(name: str) -> None:
    """So that nothing of it lands later than the service's lateness."""
    with Hostile(hostile.never_answers) as server:
        await run(RESETS[name].step, server.url, "300ms")
        assert await asyncio.to_thread(server.saw_reset.wait, 20)


def upload_by_requests(url: str, _: object) -> None:
    with saga.requests.session() as session:
        session.post(url, data=LARGE)


async def upload_by_aiohttp(url: str, _: object) -> None:
    await steps.aio.post(url, data=LARGE)


async def upload_by_httpx(url: str, _: object) -> None:
    await steps.http.post(url, content=LARGE)


def upload_by_httpx_blocking(url: str, _: object) -> None:
    steps.blocking.post(url, content=LARGE)


def upload_by_s3(url: str, _: object) -> None:
    steps._endpoint.set(url)
    steps.aws("s3").put_object(Bucket="b", Key="k", Body=LARGE)


@pytest.mark.parametrize(
    ("step", "client"),
    [
        (upload_by_requests, "requests"),
        (upload_by_aiohttp, "aiohttp"),
        (upload_by_httpx, "httpx"),
        (upload_by_httpx_blocking, "httpx, blocking"),
        (upload_by_s3, "S3"),
    ],
)
async def test_a_stuck_write_ends_with_the_budget(step: Callable[[str, Any], Any], client: str) -> None:
    """A timeout of reads never fires while a request is stuck in the middle."""
    with Hostile(hostile.never_reads) as server:
        started = time.monotonic()
        caught = await run(step, server.url, "600ms")
        took = time.monotonic() - started
        server.end()
    assert caught is not None
    assert EVERY[client].classify(caught) is None, repr(caught)
    assert server.complete == 0
    assert took < 4


async def test_outside_an_attempt_the_clients_own_timeout_holds() -> None:
    """A probe by hand, or a script."""
    with Hostile(hostile.never_answers) as server:
        with pytest.raises(TimeoutError, match="after the request was sent"):
            await saga.aiohttp.client(server.url, timeout="200ms").get("")
        session = saga.requests.session(timeout="200ms")
        with pytest.raises(requests.ReadTimeout):
            await asyncio.to_thread(session.get, server.url)
    assert saga.grpc.deadline("2s") == 2

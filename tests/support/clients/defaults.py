"""What the libraries do behind a caller's back when nobody keeps them from it: whole requests for one call."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, NamedTuple

import aiohttp
import grpc
import httpx
import requests
from botocore.config import Config
from urllib3 import Retry

from saga.testing import hostile, http2
from saga.testing.hostile import Behaviour, Hostile
from tests.support.clients import steps
from tests.support.clients.sections import table

ONCE = Config(retries={"total_max_attempts": 1})


def redirects_three_times(server: Hostile, connection: Any) -> None:
    """Three redirects in all, then a good answer: nobody is led in a circle for ever."""
    while server.read_request(connection) is not None:
        if server.complete <= 3:
            connection.sendall(
                b"HTTP/1.1 307 Go\r\nlocation: /elsewhere\r\nx-amz-bucket-region: eu-west-1\r\ncontent-length: 0\r\n\r\n"
            )
        else:
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")


def httpx_follows(url: str) -> None:
    with httpx.Client(follow_redirects=True, trust_env=False) as client:
        client.post(url, json={})


def requests_follows(url: str) -> None:
    requests.post(url, json={}, timeout=5)


def requests_retries(url: str) -> None:
    with requests.Session() as session:
        retry = Retry(total=2, allowed_methods=None, backoff_factor=0)
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retry))
        session.post(url, json={}, timeout=5)


def aiohttp_puts(times: int, *, force_close: bool) -> Callable[[str], None]:
    async def put(url: str) -> None:
        connector = aiohttp.TCPConnector(force_close=force_close)
        async with aiohttp.ClientSession(connector=connector) as session:
            for _ in range(times):
                async with session.put(url, json={}) as reply:
                    await reply.read()

    return lambda url: asyncio.run(put(url))


def grpc_calls(url: str) -> None:
    with grpc.insecure_channel(url.removeprefix("http://")) as channel:
        charge: Any = channel.unary_unary("/charges/Charge")
        charge(b"1", timeout=0.5)


def sqs_sends(url: str) -> None:
    client = steps.session().create_client("sqs", endpoint_url=url, **steps.CREDENTIALS)
    client.send_message(QueueUrl=f"{url}/1/q", MessageBody="x")


def s3_puts(url: str) -> None:
    client = steps.session().create_client("s3", endpoint_url=url, config=ONCE, **steps.CREDENTIALS)
    client.put_object(Bucket="b", Key="k", Body=b"x")


class Default(NamedTuple):
    """A client as it comes, or nearly."""

    client: str
    server: str
    behaviour: Behaviour
    call: Callable[[str], None]
    calls: int = 1


CLOSES = ("reads all and closes", hostile.reads_all_and_closes)
REDIRECTS = ("redirects three times by 307", redirects_three_times)

DEFAULTS: tuple[Default, ...] = (
    Default("httpx, `follow_redirects=True`", *REDIRECTS, httpx_follows),
    Default("requests as it comes", *REDIRECTS, requests_follows),
    Default("requests, `Retry(total=2, allowed_methods=None)`", *CLOSES, requests_retries),
    Default("aiohttp as it comes, PUT", *CLOSES, aiohttp_puts(1, force_close=False)),
    Default("aiohttp, `force_close=True`, PUT", *CLOSES, aiohttp_puts(1, force_close=True)),
    Default(
        "aiohttp as it comes, two PUTs",
        "closes kept-alive connections",
        hostile.closes_kept_alive,
        aiohttp_puts(2, force_close=False),
        calls=2,
    ),
    Default(
        "grpc as it comes",
        "goes away, and says that nothing was processed",
        http2.reads_and(http2.goes_away),
        grpc_calls,
    ),
    Default("botocore as it comes, SQS", *CLOSES, sqs_sends),
    Default("botocore, `total_max_attempts=1`, S3", *REDIRECTS, s3_puts),
)


def whole_requests(default: Default) -> int:
    """How many whole requests its calls brought to the server."""
    with Hostile(default.behaviour) as server:
        with contextlib.suppress(Exception):
            default.call(server.url)
        server.end()
        return server.complete


async def defaults_table() -> str:
    """A line for each."""
    counts = [await asyncio.to_thread(whole_requests, one) for one in DEFAULTS]
    lines = [
        [one.client, one.server, str(one.calls), str(count)]
        for one, count in zip(DEFAULTS, counts, strict=True)
    ]
    return table(["client", "the server", "calls", "whole requests"], lines)

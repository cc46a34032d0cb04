"""A client that would send again or follow a redirect is refused with a sentence, where that can be seen."""

import asyncio
import socket
import subprocess
import sys
from typing import Any

import aiohttp
import httpx
import pytest
import requests
from botocore.config import Config
from botocore.parsers import ResponseParserError
from requests.adapters import HTTPAdapter
from requests.auth import HTTPDigestAuth
from urllib3 import Retry

import saga.aiohttp
import saga.botocore
import saga.grpc
import saga.http
import saga.requests
from saga.errors import DefinitionError
from saga.testing import hostile
from saga.testing.hostile import Hostile
from tests.support.clients import steps


class Retrying(httpx.HTTPTransport):
    """Somebody's own."""


def reads_one_and_is_gone(server: Hostile, connection: socket.socket) -> None:
    """Reads the first request in full; every later connection is refused."""
    server.read_request(connection)
    server._listener.shutdown(socket.SHUT_RDWR)
    connection.shutdown(socket.SHUT_RDWR)


def of_requests(*, retries: Retry | int = 0, auth: Any = None, redirects: int = 0) -> requests.Session:
    session = requests.Session()
    session.max_redirects, session.auth = redirects, auth
    session.mount("http://", HTTPAdapter(max_retries=retries))
    return session


@pytest.mark.parametrize(
    ("client", "sentence"),
    [
        (httpx.Client(follow_redirects=True), "follows redirects"),
        (httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(retries=2)), "retries connections"),
        (httpx.Client(transport=Retrying()), "Retrying is no transport of httpx"),
        (httpx.Client(auth=httpx.DigestAuth("a", "b")), "sends the request twice"),
    ],
)
def test_httpx(client: Any, sentence: str) -> None:
    """And a plain one is as good as ours."""
    with pytest.raises(DefinitionError, match=sentence):
        saga.http.check_client(client)
    saga.http.check_client(httpx.Client())
    saga.http.check_client(httpx.AsyncClient())


@pytest.mark.parametrize(
    ("session", "sentence"),
    [
        (requests.Session(), "follows redirects"),
        (of_requests(retries=3), "sends again on its own"),
        (of_requests(retries=Retry(total=None, read=2)), "sends again on its own"),
        (of_requests(auth=HTTPDigestAuth("a", "b")), "sends the request twice"),
    ],
)
def test_requests(session: requests.Session, sentence: str) -> None:
    """Requests follows redirects unless it is told otherwise, and cannot be told for good but by max_redirects."""
    with pytest.raises(DefinitionError, match=sentence):
        saga.requests.check_client(session)
    saga.requests.check_client(of_requests())
    saga.requests.check_client(saga.requests.session())


async def test_aiohttp() -> None:
    """It sends PUT again on a fresh connection too, which `force_close` does not prevent."""
    async with aiohttp.ClientSession() as session:
        with pytest.raises(DefinitionError, match="sends PUT, DELETE and their kin again") as caught:
            saga.aiohttp.check_client(session)
        assert len(caught.value.problems) == 2

    async def retries(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        return await handler(request)

    connector = saga.aiohttp.connector()
    async with aiohttp.ClientSession(
        connector=connector, middlewares=(retries, saga.aiohttp.send_once)
    ) as session:
        with pytest.raises(DefinitionError, match="may send again: retries"):
            saga.aiohttp.check_client(session)
    connector = saga.aiohttp.connector()
    async with aiohttp.ClientSession(connector=connector, middlewares=(saga.aiohttp.send_once,)) as session:
        saga.aiohttp.check_client(session)


def test_grpc() -> None:
    """A channel cannot be seen into; its options can."""
    saga.grpc.check_options(saga.grpc.channel_options())
    with pytest.raises(DefinitionError, match="enable_retries"):
        saga.grpc.check_options([])
    policy = ("grpc.service_config", '{"methodConfig": [{"retryPolicy": {"maxAttempts": 3}}]}')
    with pytest.raises(DefinitionError, match="has a retryPolicy"):
        saga.grpc.channel("127.0.0.1:1", options=[policy])


@pytest.mark.parametrize(
    "config", [None, Config(retries={"total_max_attempts": 2}), Config(retries={"mode": "adaptive"})]
)
def test_botocore(config: Config | None) -> None:
    """What the environment and the profile say is in it already."""
    made = steps.session().create_client(
        "sqs", endpoint_url=steps.NOWHERE, config=config, **steps.CREDENTIALS
    )
    with pytest.raises(DefinitionError, match=r"config=saga.botocore.config\(\)"):
        saga.botocore.in_budget(made)
    saga.botocore.check_client(saga.botocore.client("sqs", config=config, **steps.CREDENTIALS))


async def test_a_status_that_aiohttps_parser_made_up_proves_nothing() -> None:
    """It says 400 today, for a reply that is no HTTP; whatever it says, the service did not say it."""
    with Hostile(hostile.says(b"SSH-2.0-OpenSSH\r\n")) as server:
        with pytest.raises(aiohttp.ClientResponseError) as caught:
            await steps.aio.post(server.url)
        await steps.close()
    assert caught.value.status == 400
    caught.value.status = 402
    assert saga.aiohttp.classify(caught.value) is None


async def test_nothing_is_proven_when_aiohttp_had_sent_before() -> None:
    """A session of a user's own: the second try is refused a connection, the first was read in full."""
    with Hostile(reads_one_and_is_gone) as server:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectorError) as caught:
                await session.put(server.url, json={})
    assert server.complete == 1
    assert saga.aiohttp.classify(caught.value) is None


def test_nothing_is_proven_when_requests_had_sent_before() -> None:
    """As above, with urllib3's retries."""
    with Hostile(reads_one_and_is_gone) as server, requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=Retry(total=1, allowed_methods=None)))
        with pytest.raises(requests.ConnectionError) as caught:
            session.post(server.url, json={}, timeout=5)
    assert server.complete == 1
    assert saga.requests.classify(caught.value) is None


def test_an_earlier_failure_that_a_step_was_handling_proves_nothing() -> None:
    """Its context is another request's: the first was refused a connection, the second was read in full."""

    def falls_back() -> None:
        try:
            session.post(gone.url)
        except requests.ConnectionError:
            session.post(server.url)

    with (
        Hostile(hostile.refuses) as gone,
        Hostile(hostile.reads_all_and_resets) as server,
        saga.requests.session() as session,
        pytest.raises(requests.ConnectionError) as caught,
    ):
        falls_back()
    assert isinstance(caught.value.__context__, Exception)
    assert saga.requests.classify(caught.value) is None


def test_s3_follows_nothing() -> None:
    """Its client follows 307 whatever the number of attempts is; ours does not."""
    with Hostile(hostile.answers(307, headers=("x-amz-bucket-region: eu-west-1",))) as server:
        made = saga.botocore.client("s3", endpoint_url=server.url, **steps.CREDENTIALS)
        with pytest.raises(ResponseParserError, match="307: a redirect, not followed"):
            made.put_object(Bucket="b", Key="k", Body=b"x")
        assert server.complete == 1


@pytest.mark.parametrize(
    ("module", "library"),
    [("requests", "requests"), ("aiohttp", "aiohttp"), ("grpc", "grpc"), ("botocore", "botocore")],
)
async def test_without_the_library_the_sentence_names_the_extra(module: str, library: str) -> None:
    """And `import saga` needs none of them."""
    code = f"import sys; sys.modules['{library}'] = None\nimport saga\nimport saga.{module}"
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stderr=subprocess.PIPE, env={"PYTHONPATH": ":".join(sys.path)}
    )
    _, said = await running.communicate()
    assert f"install the extra, `pip install 'saga-engine[{module}]'`".encode() in said

"""TLS that fails in the handshake proves that nothing was sent; TLS that breaks in the midst of a reply proves nothing."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

import saga.aiohttp
import saga.botocore
import saga.http
import saga.requests
from saga import NotExecuted
from saga.testing import hostile
from saga.testing.hostile import Hostile
from saga.testing.prove import Classify
from tests.support.clients import steps


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key, its certificate for loopback, and the authority behind it, in one file that both sides take."""
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1", "localhost")
    made = tmp_path_factory.mktemp("tls") / "both.pem"
    made.write_bytes(leaf.private_key_and_cert_chain_pem.bytes() + authority.cert_pem.bytes())
    return made


@pytest.fixture
def speaks_tls(certificate: Path) -> ssl.SSLContext:
    """The server's side."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


Sender = Callable[[str, Path | None], Any]


def trusting(certificate: Path | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate)


async def by_httpx(url: str, trusted: Path | None) -> None:
    await saga.http.client(url, verify=trusting(trusted), timeout="2s").post("", json={})


def by_httpx_blocking(url: str, trusted: Path | None) -> None:
    saga.http.blocking_client(url, verify=trusting(trusted), timeout="2s").post("", json={})


def by_requests(url: str, trusted: Path | None) -> None:
    with saga.requests.session(timeout="2s") as session:
        session.post(url, json={}, verify=True if trusted is None else str(trusted))


async def by_aiohttp(url: str, trusted: Path | None) -> None:
    http = saga.aiohttp.client(url, ssl=trusting(trusted), timeout="2s")
    try:
        await http.post("", json={})
    finally:
        await http.aclose()


def by_botocore(url: str, trusted: Path | None) -> None:
    verify = True if trusted is None else str(trusted)
    made = steps.session().create_client(
        "dynamodb", endpoint_url=url, verify=verify, config=saga.botocore.config(), **steps.CREDENTIALS
    )
    saga.botocore.in_budget(made, timeout="2s", verify=verify).put_item(
        TableName="t", Item={"id": {"S": "x"}}
    )


SENDERS: dict[str, tuple[Sender, Classify]] = {
    "httpx": (by_httpx, saga.http.classify),
    "httpx, blocking": (by_httpx_blocking, saga.http.classify),
    "requests": (by_requests, saga.requests.classify),
    "aiohttp": (by_aiohttp, saga.aiohttp.classify),
    "botocore": (by_botocore, saga.botocore.classify),
}
every = pytest.mark.parametrize("name", SENDERS)


async def sent(name: str, server: Hostile, trusted: Path | None) -> Any:
    """What the client's exception proves."""
    send, classify = SENDERS[name]
    try:
        result = await asyncio.to_thread(send, server.url, trusted)
        if result is not None:
            await result
    except Exception as error:  # noqa: BLE001 - its proof is what is looked at
        await asyncio.to_thread(server.end)
        return classify(error)
    raise AssertionError("it was expected to fail")


@every
async def test_a_certificate_that_is_not_trusted_executed_nothing(
    name: str, speaks_tls: ssl.SSLContext
) -> None:
    """The handshake failed: not a byte of the request was written."""
    with Hostile(hostile.never_answers, tls=speaks_tls) as server:
        found = await sent(name, server, None)
    assert isinstance(found, NotExecuted)
    assert server.complete == 0


@every
async def test_a_plain_server_behind_https_executed_nothing(name: str, certificate: Path) -> None:
    """It answers the handshake with something else."""

    class Plain(Hostile):
        @property
        def url(self) -> str:
            return super().url.replace("http:", "https:")

    def garbage(_: Hostile, connection: Any) -> None:
        connection.recv(1)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with Plain(garbage) as server:
        found = await sent(name, server, certificate)
    assert isinstance(found, NotExecuted)
    assert server.complete == 0


@every
async def test_tls_that_breaks_after_the_request_was_read_is_unknown(
    name: str, speaks_tls: ssl.SSLContext, certificate: Path
) -> None:
    """Requests and botocore raise the same SSLError for both; the traceback tells them apart."""
    with Hostile(hostile.breaks_tls, tls=speaks_tls) as server:
        found = await sent(name, server, certificate)
    assert found is None
    assert server.complete == 1

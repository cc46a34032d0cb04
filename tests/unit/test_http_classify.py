"""What httpx says is turned into a proof only where it is one; a hostile server shows each row.

The table is the design's page on classification: N not executed, F refused, U unknown. Whatever a server has read in
full is never N or F, but for a status of which the row says why.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from saga import NotExecuted, Refused
from saga.http import blocking_client, classify, client
from saga.testing import hostile
from saga.testing.hostile import Behaviour, Hostile

JSON = b'{"error": {"code": "card_declined", "message": "No funds."}}'
SHORT = "200ms"
CERTIFICATES = ssl.create_default_context()  # loading them anew for every client takes longer than the test

Caught = BaseException | httpx.Response


def sent_async(url: str, path: str = "/charges", timeout: str = SHORT) -> Caught:
    """What one POST of the async client gives or raises."""

    async def send() -> Caught:
        http = client(url, timeout=timeout, verify=CERTIFICATES)
        try:
            reply = await http.post(path, json={"amount": 1})
            return reply.raise_for_status()
        except Exception as error:  # noqa: BLE001 - what it raises is what is looked at
            return error
        finally:
            await http.aclose()

    return asyncio.run(send())


def sent_blocking(url: str, path: str = "/charges", timeout: str = SHORT) -> Caught:
    """What one POST of the blocking client gives or raises."""
    http = blocking_client(url, timeout=timeout, verify=CERTIFICATES)
    try:
        return http.post(path, json={"amount": 1}).raise_for_status()
    except Exception as error:  # noqa: BLE001 - as above
        return error
    finally:
        http.close()


Sender = Callable[..., Caught]
both = pytest.mark.parametrize("send", [sent_async, sent_blocking])


def proof(caught: Caught) -> str:
    """N, F, U or S."""
    if isinstance(caught, httpx.Response):
        return "S"
    match classify(caught):
        case NotExecuted(rule=str()):
            return "N"
        case Refused(rule=str()):
            return "F"
        case None:
            return "U"
        case without_rule:
            raise AssertionError(without_rule)


@both
@pytest.mark.parametrize(
    ("behaviour", "kind", "complete"),
    [
        (hostile.reads_all_and_resets, httpx.ReadError, {1}),
        (hostile.reads_all_and_closes, httpx.RemoteProtocolError, {1}),
        (hostile.never_answers, httpx.ReadTimeout, {1}),
        (hostile.never_reads, httpx.ReadTimeout, {0}),
        (hostile.drips_headers, httpx.ReadTimeout, {1}),
        (hostile.drips_the_body, httpx.ReadTimeout, {1}),
        (hostile.says(b"SSH-2.0-OpenSSH\r\n"), httpx.RemoteProtocolError, {1}),
        (
            hostile.says(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\nconnection: close\r\n\r\nhi"),
            httpx.RemoteProtocolError,
            {1},
        ),
        (
            hostile.says(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nzzzz"),
            httpx.DecodingError,
            {1},
        ),
        (hostile.says(b"HTTP/1.1 103 Early Hints\r\n\r\n"), httpx.ReadTimeout, {1}),
        (hostile.answers(307), httpx.HTTPStatusError, {1}),
    ],
)
def test_what_was_perhaps_sent_is_unknown(
    send: Sender, behaviour: Behaviour, kind: type[Exception], complete: set[int]
) -> None:
    """One request at most reaches the server, and no exception about it is a proof."""
    with Hostile(behaviour) as server:
        caught = send(server.url)
    assert isinstance(caught, kind), repr(caught)
    assert proof(caught) == "U"
    assert server.complete in complete


@both
def test_a_reset_on_accept_is_unknown_unless_it_came_before_the_first_byte(send: Sender) -> None:
    """Once connected, it looks like a reset after a full read; while connecting, nothing was sent."""
    with Hostile(hostile.resets_on_accept) as server:
        caught = send(server.url)
    assert isinstance(caught, httpx.TransportError)
    assert proof(caught) == ("N" if isinstance(caught, httpx.ConnectError) else "U")
    assert server.complete == 0


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


@contextmanager
def full_backlog() -> Any:
    """A listener that accepts nobody: a connection to it waits for ever."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            for one in waiting:
                one.close()


@both
def test_a_refused_connection_executed_nothing(send: Sender) -> None:
    """The rule that proves it is stored with it."""
    caught = send(closed_port())
    assert isinstance(caught, httpx.ConnectError)
    found = classify(caught)
    assert isinstance(found, NotExecuted)
    assert found.rule == "httpx.ConnectError"
    assert found.reason.startswith("ConnectError: ")


@both
def test_a_connection_that_never_opens_executed_nothing(send: Sender) -> None:
    """The deadline passed before a byte was sent."""
    with full_backlog() as url:
        caught = send(url)
    assert isinstance(caught, httpx.ConnectTimeout)
    assert proof(caught) == "N"


@both
@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "http://[", "http://127.0.0.1:bad/"])
def test_a_url_that_is_none_executed_nothing(send: Sender, url: str) -> None:
    """Nothing can be sent to it."""
    assert proof(send(url)) == "N"


def test_a_busy_pool_executed_nothing() -> None:
    """The request never got a connection."""

    async def main() -> BaseException:
        async with httpx.AsyncClient(
            verify=CERTIFICATES, limits=httpx.Limits(max_connections=1), timeout=0.2
        ) as http:
            with Hostile(hostile.never_answers) as server:
                first = asyncio.create_task(http.post(server.url, timeout=5))
                assert await asyncio.to_thread(server.was_read.wait, 5)
                second = await asyncio.gather(http.post(server.url), return_exceptions=True)
                first.cancel()
                await asyncio.gather(first, return_exceptions=True)
                assert server.complete == 1
                assert isinstance(second[0], BaseException)
                return second[0]

    caught = asyncio.run(main())
    assert isinstance(caught, httpx.PoolTimeout)
    assert proof(caught) == "N"


def test_a_header_that_is_none_executed_nothing_but_a_body_that_breaks_off_may_have() -> None:
    """Both are a LocalProtocolError, of httpx or of h11; only the first comes before the first byte."""

    async def too_long() -> Any:
        yield b"hello"
        yield b" and more"

    async def main(server: Hostile) -> tuple[Any, Any]:
        async with httpx.AsyncClient(verify=CERTIFICATES, timeout=2) as http:
            header = await asyncio.gather(http.post(server.url, headers={"a": "\n"}), return_exceptions=True)
            body = await asyncio.gather(
                http.post(server.url, content=too_long(), headers={"content-length": "5"}),
                return_exceptions=True,
            )
            return header[0], body[0]

    with Hostile(hostile.answers(200)) as server:
        header, body = asyncio.run(main(server))
        assert isinstance(header, httpx.LocalProtocolError)
        assert type(body).__name__ == "LocalProtocolError"
        assert (proof(header), proof(body)) == ("N", "U")


def test_nothing_is_proven_about_a_request_that_was_redirected() -> None:
    """A user's client that follows 307 fails at the second address; the first may have done the work."""
    gone = closed_port()

    def redirects(server: Hostile, connection: socket.socket) -> None:
        server.read_request(connection)
        connection.sendall(f"HTTP/1.1 307 Moved\r\nlocation: {gone}/\r\ncontent-length: 0\r\n\r\n".encode())

    with Hostile(redirects) as server:
        try:
            httpx.post(server.url, follow_redirects=True, trust_env=False)
        except httpx.ConnectError as error:
            assert proof(error) == "U"  # noqa: PT017 - the exception's traceback is the subject
        else:
            pytest.fail("it was expected to fail")


def test_a_status_after_a_redirect_is_the_answer_to_another_request() -> None:
    """And proves nothing about the first."""
    reply = httpx.Response(402, json={}, request=httpx.Request("POST", "http://x"))
    reply.history = [httpx.Response(303)]
    assert proof(httpx.HTTPStatusError("", request=reply.request, response=reply)) == "U"


@both
@pytest.mark.parametrize(
    ("status", "own_format", "otherwise"),
    [
        *[(status, "F", "U") for status in (400, 404, 405, 406, 410, 411, 413, 414, 415, 417, 422, 428, 431)],
        *[(status, "F", "F") for status in (402, 412)],
        *[(status, "N", "N") for status in (401, 403, 421)],
        *[(status, "U", "U") for status in (301, 302, 303, 307, 308)],
        *[
            (status, "U", "U")
            for status in (408, 409, 418, 424, 425, 429, 451, 500, 502, 503, 504, 507, 520, 527)
        ],
    ],
)
def test_a_status_proves_what_the_table_says(
    send: Sender, status: int, own_format: str, otherwise: str
) -> None:
    """Most refusals need the API's own format: a proxy on the way speaks HTML."""
    with Hostile(hostile.answers(status, JSON)) as server:
        assert proof(send(server.url)) == own_format
        assert server.complete == 1
    with Hostile(hostile.answers(status, b"<h1>No</h1>", "text/html")) as server:
        assert proof(send(server.url)) == otherwise
        assert server.complete == 1


@pytest.mark.parametrize(
    ("kind", "body", "found"),
    [
        ("application/json; charset=utf-8", JSON, ("card_declined", "No funds.")),
        ("application/problem+json", b'{"type": "/no", "title": "Nope"}', ("/no", "Nope")),
        ("application/json", b'{"code": "gone", "detail": "Sold out"}', ("gone", "Sold out")),
        ("application/json", b'[{"loc": 1}]', ("http_422", "Whatever")),
        ("application/json", b"<h1>", None),
        ("application/json", b"", None),
        ("text/plain", JSON, None),
    ],
)
def test_the_code_of_a_refusal_is_read_from_its_body(
    kind: str, body: bytes, found: tuple[str, str] | None
) -> None:
    """For people; the proof is the status and the format."""
    with Hostile(hostile.answers(422, body, kind)) as server:
        caught = sent_blocking(server.url)
    assert isinstance(caught, httpx.HTTPStatusError)
    refused = classify(caught)
    assert (refused and (refused.code, refused.message)) == found  # type: ignore[union-attr]
    assert refused is None or refused.rule == "http 422"


@pytest.mark.parametrize(
    "error", [ValueError("x"), KeyError(), TimeoutError(), asyncio.CancelledError(), OSError()]
)
def test_what_is_not_listed_is_unknown(error: BaseException) -> None:
    """Every other exception."""
    assert classify(error) is None

"""Our clients send once, keep the attempt's budget, and end a connection with a reset."""

import asyncio
import contextlib
import subprocess
import sys
import time

import httpx
import pytest

from saga import Call, NotExecuted
from saga.call import current_call
from saga.http import blocking_client, client
from saga.testing import hostile
from saga.testing.hostile import Hostile

OK = hostile.answers(200, b'{"ok": true}')


async def test_the_budget_of_the_attempt_is_the_deadline() -> None:
    """Total, whatever the client's own timeout says; a little early, so that it can tell what was sent."""
    http = client("", timeout="1h")
    with Hostile(hostile.drips_headers) as server:
        token = current_call.set(Call.fake(timeout="300ms"))
        started = time.monotonic()
        with pytest.raises(httpx.ReadTimeout, match="after the request was sent"):
            await http.post(server.url)
        assert 0.2 < time.monotonic() - started < 0.3
        current_call.reset(token)
        await http.aclose()


async def test_the_blocking_client_keeps_the_budget_too() -> None:
    """The timeouts of httpx are per read, and a server that drips would hold the thread for ever."""
    http = blocking_client("", timeout="1h")

    def post(url: str) -> float:
        started = time.monotonic()
        with pytest.raises(httpx.ReadTimeout, match="after the request was sent"):
            http.post(url)
        return time.monotonic() - started

    token = current_call.set(Call.fake(timeout="300ms"))
    for behaviour in (hostile.drips_headers, hostile.drips_the_body):
        with Hostile(behaviour) as server:
            assert 0.1 < await asyncio.to_thread(post, server.url) < 0.35
            current_call.set(Call.fake(timeout="300ms"))
    current_call.reset(token)
    http.close()


async def test_a_bad_minute_of_a_service_costs_no_connection_for_good() -> None:
    """Requests that are given up while they wait for a connection leave the pool as it was, and not full for ever."""
    answer, waiting = asyncio.Event(), 30

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                await answer.wait()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        writer.close()

    async def give_up() -> None:
        current_call.set(Call.fake(timeout="30ms"))
        with pytest.raises((httpx.TimeoutException, NotExecuted)):  # on a busy machine before it was sent
            await http.get("/")

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    place = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    http = client(place, timeout="5s", limits=httpx.Limits(max_connections=2))
    for _ in range(10):
        await asyncio.gather(*(asyncio.create_task(give_up()) for _ in range(waiting)))
    answer.set()
    assert (await http.get("/")).text == "ok"
    await http.aclose()
    server.close()


async def test_without_budget_nothing_is_sent() -> None:
    """The last check is ours."""
    token = current_call.set(Call.fake(timeout="0s"))
    with Hostile(OK) as server:
        with pytest.raises(NotExecuted):
            await client(server.url).get("/")
        with pytest.raises(NotExecuted):
            blocking_client(server.url).get("/")
        assert server.complete == 0
    current_call.reset(token)


async def test_a_request_given_up_is_reset() -> None:
    """So that nothing of it lands later than the service's lateness."""
    http = client("", timeout="200ms")
    with Hostile(hostile.never_answers) as server:
        with pytest.raises(httpx.ReadTimeout):
            await http.post(server.url)
        assert await asyncio.to_thread(server.saw_reset.wait, 5)
    await http.aclose()


async def test_a_cancelled_request_is_reset() -> None:
    """As when the worker is told to stop."""
    http = client("", timeout="1h")
    with Hostile(hostile.never_answers) as server:
        task = asyncio.create_task(http.post(server.url))
        assert await asyncio.to_thread(server.was_read.wait, 5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await asyncio.to_thread(server.saw_reset.wait, 5)
    await http.aclose()


def test_one_client_serves_several_loops() -> None:
    """It is a module's constant, and loops come and go; the address is read at every request."""
    addresses: list[str] = []
    http = client(lambda: addresses[-1])

    async def get() -> bool:
        reply = await http.get("status", params={"a": 1}, headers={"x": "y"})
        await http.aclose()
        return bool(reply.json()["ok"])

    for _ in range(2):
        with Hostile(OK) as server:
            addresses.append(server.url)
            assert asyncio.run(get())


@pytest.mark.parametrize("verb", ["get", "post", "put", "patch", "delete"])
async def test_every_verb_sends_once_and_follows_nothing(verb: str) -> None:
    """Not even where a redirect is allowed by HTTP."""
    with Hostile(hostile.answers(302)) as server:
        http, blocking = client(server.url), blocking_client(server.url)
        assert (await getattr(http, verb)("/a")).status_code == 302
        assert (await asyncio.to_thread(getattr(blocking, verb), "/a")).status_code == 302
        assert server.complete == 2
        await http.aclose()
        blocking.close()


async def test_the_environments_proxy_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy answers in its own words, and a step would take them for the service's."""
    with Hostile(OK) as server, Hostile(hostile.answers(502)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        http, blocking = client(server.url), blocking_client(server.url)
        assert (await http.get("/")).status_code == 200
        assert (await asyncio.to_thread(blocking.get, "/")).status_code == 200
        assert proxy.complete == 0
        await http.aclose()
        blocking.close()


def test_without_httpx_the_sentence_names_the_extra() -> None:
    """And `import saga` needs none of it."""
    code = "import sys; sys.modules['httpx'] = None\nimport saga\nimport saga.http"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "install the extra, `pip install 'saga-engine[http]'`" in ended.stderr


async def test_uvloop_serves_as_well() -> None:
    """It lends out no sockets, and the options are set all the same."""
    uvloop = pytest.importorskip("uvloop")

    async def main(url: str) -> int:
        http = client(url, timeout="200ms")
        try:
            await http.post("/")
        except httpx.ReadTimeout:
            return 1
        finally:
            await http.aclose()
        return 0

    with Hostile(hostile.never_answers) as server:
        assert await asyncio.to_thread(lambda: uvloop.run(main(server.url))) == 1
        assert await asyncio.to_thread(server.saw_reset.wait, 5)

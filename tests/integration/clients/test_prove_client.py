"""`prove_client` passes a client that is sound, and names each thing that is wrong with one that is not."""

import asyncio
from typing import Any

import httpx
import pytest
import requests

import saga.http
import saga.requests
from saga import Call, NotExecuted
from saga.testing import hostile, prove_client
from saga.testing.rows import MISBEHAVIOUR, Row, statuses
from tests.support.clients import steps

NAMED = {row.name: row for row in (*MISBEHAVIOUR, *statuses())}


def rows(*names: str) -> list[Row]:
    return [NAMED[name] for name in names]


async def test_a_sound_step_is_proven_and_its_findings_can_be_read() -> None:
    """Every row is tried; unknown is never wrong."""
    proof = await prove_client(steps.over_httpx, classify=saga.http.classify, timeout="400ms")
    await steps.close()
    assert len(proof.findings) > 80
    assert "U 1 reads all and resets: ReadError" in str(proof)


async def test_a_step_without_a_classifier_knows_nothing_and_is_sound() -> None:
    """It gives away what it could know, and no more."""
    proof = await prove_client(
        steps.over_requests, rows=rows("refuses the connection", "replies 402", "reads all and resets")
    )
    assert {finding.claim for finding in proof.findings} == {"U"}


async def test_a_client_that_sends_twice_is_found() -> None:
    """By a redirect that it follows."""

    def follows(url: str, _: Call) -> None:
        requests.post(url, json={}, timeout=1).raise_for_status()

    with pytest.raises(
        AssertionError,
        match="whole requests reached the server in one attempt: turn off retries and redirects",
    ):
        await prove_client(follows, rows=rows("replies 307"))


async def test_a_broken_reply_that_is_taken_for_a_success_is_found() -> None:
    """A step that looks at nothing; requests' raise_for_status lets 300 pass as well."""

    def looks_away(url: str, _: Call) -> None:
        with requests.Session() as session:
            session.post(url, json={}, timeout=1, allow_redirects=False).raise_for_status()

    with pytest.raises(AssertionError) as caught:
        await prove_client(looks_away, rows=rows("replies 300", "truncates the headers", "replies 500"))
    assert str(caught.value).splitlines()[1:] == [
        "  - replies 300: taken for a success: look at the status and at the whole body",
        "  - truncates the headers: taken for a success: look at the status and at the whole body",
    ]


async def test_a_guess_is_found() -> None:
    """A reset is the same before the request was read and after it."""

    async def guesses(url: str, _: Call) -> None:
        try:
            await steps.over_httpx(url, None)
        except httpx.ReadError as error:
            raise NotExecuted("the connection was reset") from error

    with pytest.raises(AssertionError, match="not executed, though the server had read the whole request"):
        await prove_client(guesses, rows=rows("resets before it reads", "reads all and resets"))
    await steps.close()


async def test_an_attempt_that_outlives_its_budget_is_found() -> None:
    """A timeout that counts from the last byte never fires while a server drips."""

    async def patient(url: str, _: Call) -> None:
        async with httpx.AsyncClient(timeout=1, trust_env=False) as client:
            await client.post(url)

    with pytest.raises(AssertionError, match="drips the body: still running 2 s after its budget"):
        await prove_client(patient, rows=rows("drips the body"))


async def test_a_step_that_goes_elsewhere_is_found() -> None:
    """Nothing is proven when the hostile server saw nothing."""

    async def elsewhere(_: str, __: Call) -> None:
        raise ConnectionError

    with pytest.raises(AssertionError, match="does the step use the URL that it is given"):
        await prove_client(elsewhere, rows=rows("reads all and resets", "replies 500"))


async def test_rows_of_ones_own() -> None:
    """A provider's own way of being broken."""
    own = Row("says 200 to everything", hostile.answers(200, b'{"error": "no"}'), frozenset({"F", "U"}))

    async def fooled(url: str, _: Call) -> Any:
        return await steps.over_httpx(url, None)

    with pytest.raises(AssertionError, match="says 200 to everything: taken for a success"):
        await prove_client(fooled, rows=[own])
    await steps.close()


async def test_the_step_runs_under_a_call_of_its_own() -> None:
    """Clients that follow the budget find it there, and the key is the call's."""
    seen: list[tuple[str, bool]] = []

    async def looks(url: str, call: Call) -> None:
        from saga.call import current_call

        seen.append((call.key, current_call.get() is call))
        await asyncio.to_thread(lambda: steps.over_requests(url, None))

    await prove_client(looks, classify=saga.requests.classify, rows=rows("replies 402"))
    assert seen == [("prove-client", True)]

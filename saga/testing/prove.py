"""`prove_client`: points a step of yours at the hostile server, and says what its client gets wrong.

Rules that hold here: an attempt may bring at most one whole request to the server; what the server read in
full is never "not executed" or "refused", unless the row gives the reason; a broken reply is never a success;
an attempt ends when its budget does. Every row is tried, and all that is wrong is said at once.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from saga.call import Call, current_call
from saga.core.durations import Duration, parse
from saga.errors import NotExecuted, Refused, Unknown
from saga.testing.hostile import Hostile
from saga.testing.rows import WORDS, Letter, Row, every_row

Classify: TypeAlias = Callable[[BaseException], Refused | NotExecuted | Unknown | None]
Step: TypeAlias = Callable[[str, Call], Awaitable[object] | object]

OVERTIME_S = 2.0
AT_ONCE = 4
SECOND_CHANCE = 4  # times the budget, for a client that took too long to get ready


@dataclass(frozen=True, slots=True)
class Finding:
    """One row as it went. claim: N, F, U or S. complete: requests read in full. wrong: sentences, if any."""

    row: str
    claim: Letter
    error: str
    complete: int
    wrong: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Proof:
    """What `prove_client` saw, row by row; printing it gives a table."""

    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        return "\n".join(
            f"{finding.claim} {finding.complete} {finding.row}: {finding.error or 'no exception'}"
            for finding in self.findings
        )


async def prove_client(
    step: Step,
    *,
    classify: Classify | None = None,
    timeout: Duration = "500ms",
    rows: Iterable[Row] | None = None,
) -> Proof:
    """Run one attempt of `step` against each way in which a server can misbehave.

    Args:
        step: `lambda url, call: charge.body(call, …)` after pointing its client at `url`, or any function of
            the hostile server's URL and the attempt's `Call`. A plain function runs in a thread. It must
            take the URL into account: a base URL that is a function is the simplest way.
        classify: the service's, which says what the step's exceptions prove.
        timeout: the budget of each attempt. Clients that do not follow `call.remaining()` must be told it.
        rows: some of `saga.testing.rows` only, or rows of your own.

    Raises:
        AssertionError: with a sentence for each thing that is wrong. Nothing is wrong with "unknown": where
            a row also allows more, the step merely gives away what it could know.
    """
    limit = asyncio.Semaphore(AT_ONCE)
    seconds = parse(timeout).total_seconds()

    async def one(row: Row) -> Finding:
        async with limit:
            found = await _attempt(row, step, classify, seconds)
            if not found.complete and (row.reads or found.error == NotExecuted.__name__):
                found = await _attempt(row, step, classify, seconds * SECOND_CHANCE)
            return found

    findings = await asyncio.gather(*(one(row) for row in (every_row() if rows is None else rows)))
    wrong = [f"{finding.row}: {sentence}" for finding in findings for sentence in finding.wrong]
    if not any(finding.complete for finding in findings):
        wrong = ["no request ever reached the hostile server: does the step use the URL that it is given?"]
    if wrong:
        raise AssertionError(
            "\n".join(["the step's client is not proven:", *(f"  - {one}" for one in wrong)])
        )
    return Proof(tuple(findings))


async def _attempt(row: Row, step: Step, classify: Classify | None, seconds: float) -> Finding:
    server = Hostile(row.behaviour)
    with server:
        caught = await _run(step, server.url, seconds)
        await asyncio.to_thread(server.end)  # only then it has counted all that arrived
    complete = server.complete
    claim = _claim(caught, classify)
    wrong: list[str] = []
    if isinstance(caught, _Overtime):
        wrong.append(f"still running {OVERTIME_S:g} s after its budget: give it a total deadline")
    if complete > 1:
        wrong.append(
            f"{complete} whole requests reached the server in one attempt: turn off retries and redirects"
        )
    if row.reads and not complete:
        wrong.append("the server did not see the request within the budget: give a longer `timeout`")
    elif claim not in row.may:
        wrong.append(_sentence(claim, complete))
    return Finding(row.name, claim, "" if caught is None else type(caught).__name__, complete, tuple(wrong))


def _sentence(claim: Letter, complete: int) -> str:
    if claim == "S":
        return "taken for a success: look at the status and at the whole body"
    if complete:
        return (
            f"taken for {WORDS[claim]}, though the server had read the whole request and may have executed it"
        )
    return f"taken for {WORDS[claim]}, which nothing proves"


class _Overtime(Exception):
    """The attempt did not end."""


async def _run(step: Step, url: str, seconds: float) -> BaseException | None:
    plain: Callable[[str, Call], Any] = step
    call = Call.fake(key="prove-client", timeout=f"{round(seconds * 1000)}ms")

    async def attempt() -> None:
        current_call.set(call)
        if inspect.iscoroutinefunction(step):
            result = step(url, call)
        else:
            result = await asyncio.to_thread(plain, url, call)
        if inspect.isawaitable(result):
            await result

    task = asyncio.create_task(attempt())
    done, _ = await asyncio.wait({task}, timeout=seconds + OVERTIME_S)
    if not done:
        task.cancel()
        await asyncio.wait({task}, timeout=OVERTIME_S)
        return _Overtime()
    return asyncio.CancelledError() if task.cancelled() else task.exception()


def _claim(caught: BaseException | None, classify: Classify | None) -> Letter:
    """What the engine would take from it; the exceptions of the engine speak for themselves."""
    if caught is None:
        return "S"
    found = caught
    if classify is not None and not isinstance(caught, Refused | NotExecuted | Unknown):
        found = classify(caught) or caught
    if isinstance(found, NotExecuted):
        return "N"
    return "F" if isinstance(found, Refused) else "U"

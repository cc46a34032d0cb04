"""The tables of docs/classification.md that the hostile server gives, each measured anew when it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from saga.testing import hostile, http2
from saga.testing.prove import Proof, prove_client
from saga.testing.rows import HTML, MISBEHAVIOUR, STATUSES, Row, statuses
from tests.support.clients import steps
from tests.support.clients.steps import Client

RACY = {"resets on accept"}  # the reset may come while the connection is being opened: then nothing was sent
TIMEOUT = "700ms"  # long enough for a busy machine to get its request out

CODES: tuple[tuple[str, int], ...] = (
    ("ValidationException", 400), ("ResourceNotFoundException", 400), ("ConditionalCheckFailedException", 400),
    ("IdempotentParameterMismatchException", 400), ("TransactionInProgressException", 400),
    ("ThrottlingException", 400), ("ProvisionedThroughputExceededException", 400), ("SlowDown", 503),
    ("AccessDeniedException", 400), ("ExpiredTokenException", 403), ("InternalServerError", 500),
    ("ServiceUnavailable", 503), ("ThrottlingException", 500), ("SomethingNew", 400),
)  # fmt: skip


async def proofs(clients: dict[str, Client], rows: Iterable[Row]) -> dict[str, Proof]:
    """What each client makes of each row. Whatever is unsound raises here, before it can become a table."""
    listed = list(rows)
    try:
        return {
            name: await prove_client(client.step, classify=client.classify, timeout=TIMEOUT, rows=listed)
            for name, client in clients.items()
        }
    finally:
        await steps.close()


async def misbehaviour(clients: dict[str, Client], rows: Iterable[Row] = MISBEHAVIOUR) -> str:
    """A line for each misbehaviour, a column for each client: the claim, and the exception it is drawn from."""
    seen = await proofs(clients, rows)
    lines = []
    for found in zip(*(proof.findings for proof in seen.values()), strict=True):
        name = found[0].row
        cells = ["N or U" if name in RACY else f"{one.claim} {one.error}".strip() for one in found]
        lines.append([name, *cells])
    return table(["the server", *seen], lines)


async def status_table() -> str:
    """A line for each status: what it proves in the API's own format, and in a proxy's HTML."""
    own = await proofs(steps.HTTP, statuses())
    foreign = await proofs(steps.HTTP, statuses(HTML, "text/html"))
    lines = []
    for index, status in enumerate(STATUSES):
        claims = [{proof.findings[index].claim for proof in seen.values()} for seen in (own, foreign)]
        assert all(len(letters) == 1 for letters in claims), f"the clients differ about {status}"
        why = next(row.why for row in statuses() if row.name == f"replies {status}")
        lines.append([str(status), *("".join(letters) for letters in claims), why])
    return table(["status", "as JSON", "as HTML", "why"], lines)


async def aws_table() -> str:
    """A line for each code of AWS."""
    rows = [
        Row(f"{code} ({status})", _aws_error(code, status), frozenset({"N", "F", "U"}))
        for code, status in CODES
    ]
    only = {"DynamoDB": steps.AWS["DynamoDB"]}
    (proof,) = (await proofs(only, rows)).values()
    return table(["code (status)", "proves"], [[one.row, one.claim] for one in proof.findings])


def _aws_error(code: str, status: int) -> hostile.Behaviour:
    body = f'{{"__type": "com.amazonaws#{code}", "message": "No."}}'.encode()
    return hostile.answers(status, body, "application/x-amz-json-1.0")


async def grpc_table() -> str:
    """A line for each answer in HTTP/2."""
    seen = await proofs(steps.GRPC, http2.ROWS)
    lines = []
    for index, row in enumerate(http2.ROWS):
        cells = [f"{proof.findings[index].claim}" for proof in seen.values()]
        lines.append([row.name, *cells, row.why])
    return table(["the server", *seen, "why"], lines)


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Markdown."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)

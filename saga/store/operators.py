"""What operators ask of workers, as rows: probe requests, taken by exactly one worker, answered once."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from saga.core.model import Direction
from saga.store.connections import Connection
from saga.store.sql import Statement

TAKE = Statement(
    "take_requests",
    "Locks open requests, and never waits. Zero rows: nobody asks.",
    "WITH r AS MATERIALIZED (SELECT q.id, s.name, s.version FROM {s}.request q"
    " JOIN {s}.saga s ON s.id = q.saga_id WHERE q.answered_at IS NULL AND q.answer IS NULL"
    " AND q.expires_at > now()"
    " AND (s.name, s.version) IN (SELECT * FROM unnest(%(names)s::text[], %(versions)s::int[]))"
    " LIMIT 20 FOR UPDATE OF q SKIP LOCKED)"
    " UPDATE {s}.request q SET answer = '{{\"taken\": true}}'::json FROM r WHERE q.id = r.id"
    " RETURNING q.id, q.saga_id, q.step, q.direction, r.name, r.version",
)
ANSWER = Statement(
    "answer_request",
    "Locks one request. Zero rows: it is gone.",
    "UPDATE {s}.request SET answered_at = now(), answer = %(answer)s::json WHERE id = %(id)s",
)


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """An operator asks what became of an effect."""

    id: UUID
    saga_id: UUID
    step: str
    direction: Direction
    name: str
    version: int


async def take_requests(
    connection: Connection, schema: str, serves: tuple[list[str], list[int]]
) -> list[ProbeRequest]:
    """The open requests that these definitions can serve; nobody else gets them."""
    values = {"names": serves[0], "versions": serves[1]}
    rows = await (await connection.execute(TAKE.on(schema).encode(), values)).fetchall()
    return [
        ProbeRequest(i, saga, step, Direction(d), name, version) for i, saga, step, d, name, version in rows
    ]


async def answer_request(connection: Connection, schema: str, request: UUID, answer: str) -> None:
    """Answer it; `answer` is JSON text."""
    await connection.execute(ANSWER.on(schema).encode(), {"id": request, "answer": answer})

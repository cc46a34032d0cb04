"""Questions of operators for the workers, as rows: only workers call services.

Rules that hold here: a question is taken by exactly one worker, and only by one that serves its saga; one that
nobody took in time is taken by nobody; an empty partial index is all that an idle worker reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from saga.core.model import Direction
from saga.ids import uuid7
from saga.store.connections import Connection
from saga.store.sql import Statement
from saga.store.wakeups import channel

AT_ONCE = 10
"""So many questions are taken in one round; the rest wait for the next, or for another worker."""

ASK = Statement(
    "request_ask",
    "Inserts one row. Never zero rows.",
    "INSERT INTO {s}.request (id, saga_id, step, direction, asked_by, expires_at)"
    " VALUES (%(id)s, %(saga)s, %(step)s, %(direction)s, %(who)s, now() + %(within)s)",
)
HINT = Statement(
    "request_hint",
    "Locks nothing. A hint; the poll is the truth.",
    "SELECT pg_notify(%(channel)s, '')",
)
SWEEP = Statement(
    "request_sweep",
    "Locks questions that are long over. Zero rows: none is.",
    "DELETE FROM {s}.request WHERE asked_at < now() - interval '1 day' AND expires_at < now() - interval '1 day'",
)
TAKE = Statement(
    "request_take",
    "Locks open questions that nobody else locks, and never waits; so each is taken once. Zero rows: nobody asks.",
    "WITH r AS MATERIALIZED (SELECT q.id, s.name, s.version FROM {s}.request q JOIN {s}.saga s ON s.id = q.saga_id"
    " WHERE q.taken_at IS NULL AND q.expires_at > now()"
    " AND (s.name, s.version) IN (SELECT * FROM unnest(%(names)s::text[], %(versions)s::int[]))"
    " ORDER BY q.asked_at LIMIT %(limit)s FOR NO KEY UPDATE OF q SKIP LOCKED)"
    " UPDATE {s}.request q SET taken_at = now(), taken_by = %(worker)s FROM r WHERE q.id = r.id"
    " RETURNING q.id, q.saga_id, q.step, q.direction, r.name, r.version",
)
ANSWER = Statement(
    "request_answer",
    "Locks one question. Zero rows: it was answered already, or swept away.",
    "UPDATE {s}.request SET answered_at = now(), answer = %(answer)s::json"
    " WHERE id = %(id)s AND answered_at IS NULL",
)
STATE = Statement(
    "request_state",
    "Locks nothing. Zero rows: no such question.",
    "SELECT taken_by, answer FROM {s}.request WHERE id = %(id)s",
)


@dataclass(frozen=True, slots=True)
class Question:
    """About which effect a service is to be asked, and who wants to know."""

    saga_id: UUID
    step: str
    direction: Direction
    who: str


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """What a worker is to ask a service, and of which definition's effect."""

    id: UUID
    saga_id: UUID
    step: str
    direction: Direction
    name: str
    version: int


@dataclass(frozen=True, slots=True)
class RequestState:
    """How far a question is. `answer`: JSON text, None until it is answered."""

    taken_by: UUID | None
    answer: str | None


async def request_probe(
    connection: Connection, schema: str, question: Question, *, within: timedelta
) -> UUID:
    """Ask the workers; the question's id. After `within` nobody takes it any more."""
    request_id = uuid7()
    values = {"id": request_id, "saga": question.saga_id, "step": question.step, "who": question.who,
              "direction": question.direction.value, "within": within, "channel": channel(schema)}  # fmt: skip
    await connection.execute(SWEEP.on(schema).encode())
    await connection.execute(ASK.on(schema).encode(), values)
    await connection.execute(HINT.on(schema).encode(), values)
    return request_id


async def take_requests(
    connection: Connection, schema: str, serves: tuple[list[str], list[int]], worker: UUID
) -> list[ProbeRequest]:
    """Take the open questions that this worker can put to a service; nobody else gets them."""
    values: dict[str, Any] = {"names": serves[0], "versions": serves[1], "worker": worker, "limit": AT_ONCE}
    cursor = await connection.execute(TAKE.on(schema).encode(), values)
    return [
        ProbeRequest(request, saga_id, step, Direction(direction), name, version)
        for request, saga_id, step, direction, name, version in await cursor.fetchall()
    ]


async def answer_request(connection: Connection, schema: str, request_id: UUID, answer: str) -> None:
    """Write the answer, JSON text; a second answer changes nothing."""
    await connection.execute(ANSWER.on(schema).encode(), {"id": request_id, "answer": answer})


async def request_state(connection: Connection, schema: str, request_id: UUID) -> RequestState:
    """How far the question is; one that was swept away is as good as never taken."""
    row = await (await connection.execute(STATE.on(schema).encode(), {"id": request_id})).fetchone()
    return RequestState(None, None) if row is None else RequestState(*row)

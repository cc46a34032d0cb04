"""Which saga a person means: by its id, by its business key, by NAME/KEY, or by the beginning of its id.

Rule: a guess is never made; what means several sagas is an error that lists them.
"""

from __future__ import annotations

from saga.errors import NotFoundError
from saga.operator.errors import Ambiguous
from saga.store import queries
from saga.store.connections import Connection
from saga.store.queries import SagaLine

WHOLE = 32
"""So many hexadecimal digits make a whole id."""
PREFIX_LEAST = 6
"""The shortest beginning of an id that is taken for one."""


async def one(connection: Connection, schema: str, said: str) -> SagaLine:
    """The saga that is meant.

    Raises:
        NotFoundError, Ambiguous: with a sentence.
    """
    found = await _candidates(connection, schema, said)
    if not found:
        raise NotFoundError(f"there is no saga with the id or key {said!r}: look with `saga list --all`")
    if len(found) > 1:
        listed = ", ".join(f"{s.id} ({s.name} {s.key})" for s in found)
        raise Ambiguous(f"{said!r} may be any of {listed}: write a whole id, or NAME/KEY")
    return found[0]


async def _candidates(connection: Connection, schema: str, said: str) -> list[SagaLine]:
    digits = _digits(said)
    if len(digits) == WHOLE and (found := await queries.by_prefix(connection, schema, digits)):
        return found
    if found := await queries.by_key(connection, schema, said):
        return found
    name, slash, key = said.partition("/")
    if slash and (found := [s for s in await queries.by_key(connection, schema, key) if s.name == name]):
        return found
    if PREFIX_LEAST <= len(digits) < WHOLE:
        return await queries.by_prefix(connection, schema, digits)
    return []


def _digits(said: str) -> str:
    """The hexadecimal digits of an id or its beginning; empty where it cannot be one."""
    digits = said.replace("-", "").lower()
    return digits if digits and len(digits) <= WHOLE and set(digits) <= set("0123456789abcdef") else ""

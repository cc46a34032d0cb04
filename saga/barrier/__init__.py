"""Idempotency for services that users own: a table in *their* Postgres, and one block in their transaction (S36).

    barrier = Barrier(schema="stock")

    async with barrier.action(connection, key, request=body) as held:
        if held.mine:
            held.keep(await reserve(connection, body))
    return held.answer()

Rules that hold here: keyed by the forward key on both sides (`call.key` in a step, `call.effect_key` in its
compensation); whoever inserts the action's row first decides; what is committed is the answer for ever. This
package needs SQLAlchemy and psycopg, and no engine: `saga.barrier.probe`, for the other side, is apart.
"""

from saga.barrier.barrier import Barrier, Begin
from saga.barrier.guard import Guard, Held
from saga.barrier.records import (
    BarrierError,
    Claim,
    InProgress,
    KeyFenced,
    Record,
    RequestMismatch,
    Side,
    State,
)
from saga.barrier.table import ddl, table

__all__ = [
    "Barrier",
    "BarrierError",
    "Begin",
    "Claim",
    "Guard",
    "Held",
    "InProgress",
    "KeyFenced",
    "Record",
    "RequestMismatch",
    "Side",
    "State",
    "ddl",
    "table",
]

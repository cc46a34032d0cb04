"""The table of how services stand; a part of `saga.store.schema`, and written by `saga.store.services` only.

Rule: a hold has its reason, and what is not closed knows when something happens next.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, Interval, MetaData, Table, Text

from saga.core.breaker import State
from saga.store.parts import one_of, when


def service(made: MetaData) -> Table:
    """How services stand that were ever opened or held: the breaker that all workers share, and an operator's hold."""
    return Table(
        "service",
        made,
        Column("name", Text, primary_key=True),
        Column("state", Text, nullable=False, server_default=State.CLOSED.value),
        Column("turn", BigInteger, nullable=False, server_default="0"),
        when("since"),
        Column("reason", Text, nullable=False, server_default=""),
        Column("cool_down", Interval, nullable=False),
        when("next_at"),
        Column("wave", Integer, nullable=False, server_default="0"),
        Column("taken", Integer, nullable=False, server_default="0"),
        Column("passed", Integer, nullable=False, server_default="0"),
        Column("held_by", Text),
        Column("held_because", Text),
        when("held_at"),
        one_of("state", State),
        CheckConstraint("(held_by IS NULL) = (held_because IS NULL)", name="hold_has_a_reason"),
        CheckConstraint("state = 'closed' OR next_at IS NOT NULL", name="next_while_not_closed"),
        postgresql_with={"fillfactor": "50"},
    )

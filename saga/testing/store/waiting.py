"""How long a session may wait, and for whom: its timeouts, and circles of sessions that wait for each other.

Rules that hold here: a session that has waited for a second looks for a circle, and if there is one it is the victim;
of two timeouts that are over together the statement's comes first, because its clock was started first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from saga.testing.store.messages import Refusal
from saga.testing.store.timers import Cancel

if TYPE_CHECKING:
    from saga.testing.store.session import Session
    from saga.testing.store.transactions import Transaction

_WORDS = {
    None: "server closed the connection unexpectedly",
    "57P01": "terminating connection due to administrator command",
    "25P03": "terminating connection due to idle-in-transaction timeout",
    "25P04": "terminating connection due to transaction timeout",
}


def gone(sqlstate: str | None) -> Refusal:
    """Why a session ended, as its client is told."""
    return Refusal(sqlstate, _WORDS.get(sqlstate, f"terminating connection: {sqlstate}"))


def limits_of(session: Session, holder: Transaction | None) -> list[Cancel]:
    """Start the clocks of a session that waits for `holder`, or, for None, is idle in its transaction."""
    transaction = session.transaction
    if transaction is None:
        return []
    timers = session.database.timers
    started: list[Cancel] = []

    def refuse(sqlstate: str, message: str) -> None:
        session.interrupt(Refusal(sqlstate, message))

    if transaction.whole_ms:
        left = transaction.at + transaction.whole_ms / 1000 - timers.now()
        started.append(timers.later(max(0.0, left), lambda: session.end_by_timeout("25P04")))
    if holder is None:
        if transaction.idle_ms and transaction.explicit and session.in_sync:
            idle = transaction.idle_ms / 1000
            started.append(timers.later(idle, lambda: session.end_by_timeout("25P03")))
        return started
    if transaction.statement_ms:
        left = session.began + transaction.statement_ms / 1000 - timers.now()
        late = lambda: refuse("57014", "canceling statement due to statement timeout")  # noqa: E731 - one line
        started.append(timers.later(max(0.0, left), late))
    if transaction.lock_ms:
        late = lambda: refuse("55P03", "canceling statement due to lock timeout")  # noqa: E731 - one line
        started.append(timers.later(transaction.lock_ms / 1000, late))
    started.append(timers.later(session.database.deadlock_s, lambda: _look_for_circle(session)))
    return started


def _look_for_circle(session: Session) -> None:
    if circle(session):
        session.interrupt(Refusal("40P01", "deadlock detected"))


def circle(session: Session) -> bool:
    """Whether a session waits, through others, for itself."""
    holder = session.blocked_by
    seen: set[int] = set()
    while holder is not None and holder.session.pid not in seen:
        if holder.session is session:
            return True
        seen.add(holder.session.pid)
        holder = holder.session.blocked_by
    return False

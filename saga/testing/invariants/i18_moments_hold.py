"""I18: a sleep, or the time of a wait, is over once and never early.

By the ledgers, in true time: no request leaves before the sleep in front of it is over. By the rows, in the database's: none
ends before it is due.
"""

from __future__ import annotations

from collections.abc import Iterator

from saga.core.model import Direction
from saga.testing.invariants.record import MomentClaim, Pause, Record
from saga.testing.simulation.ledger import Action


def broken(record: Record) -> Iterator[tuple[str, str]]:
    """Sleeps that were cut short."""
    for saga, pauses in record.pauses.items():
        for pause in pauses:
            yield from _cut_short(record, saga, pause)
    for claim in record.sagas:
        for moment in claim.moments:
            if _early(moment):
                yield claim.key, f"{moment.step} was due at {moment.due_at} and ended at {moment.ended_at}"


def _early(moment: MomentClaim) -> bool:
    """Only a signal ends a wait before it is due."""
    if moment.signal is not None or moment.ended_at is None or moment.due_at is None:
        return False
    return moment.ended_at < moment.due_at


def _cut_short(record: Record, saga: str, pause: Pause) -> Iterator[tuple[str, str]]:
    begun = [
        e.at
        for e in record.lines.get(saga, [])
        if e.named.step == pause.behind and e.action is Action.APPLIED
    ]
    for sent in record.sent.get(saga, []):
        if sent.named.step != pause.before or sent.named.direction is not Direction.FORWARD:
            continue
        if not begun:
            yield saga, f"{pause.before} was sent, and {pause.behind} never landed"
        elif sent.at < min(begun) + pause.seconds:
            yield (
                saga,
                f"{pause.before} was sent {sent.at - min(begun):.3f} s behind {pause.behind}, not {pause.seconds} s",
            )

"""All invariants over one record."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from saga.testing.invariants import (
    i01_no_effect_twice,
    i02_completed_stands,
    i03_compensated_is_net_zero,
    i04_no_undo_in_doubt,
    i05_intent_first,
    i06_reverse_order,
    i07_nothing_undone_after_pivot,
    i08_same_request,
    i09_key_lives,
    i10_parked_for_a_reason,
    i11_comes_to_rest,
    i12_audit_holds,
    i13_secret_kept,
    i14_surplus_found,
    i15_one_decides,
    i16_shown_is_true,
    i17_cancel_holds,
    i18_moments_hold,
    i19_signals_once,
    i20_open_is_let_alone,
)
from saga.testing.invariants.record import Record, Violation

Invariant = Callable[[Record], Iterator[tuple[str, str]]]
"""Gives the saga (or nothing) and the sentence of every violation."""

ALL: dict[str, Invariant] = {
    "I1": i01_no_effect_twice.broken,
    "I2": i02_completed_stands.broken,
    "I3": i03_compensated_is_net_zero.broken,
    "I4": i04_no_undo_in_doubt.broken,
    "I5": i05_intent_first.broken,
    "I6": i06_reverse_order.broken,
    "I7": i07_nothing_undone_after_pivot.broken,
    "I8": i08_same_request.broken,
    "I9": i09_key_lives.broken,
    "I10": i10_parked_for_a_reason.broken,
    "I11": i11_comes_to_rest.broken,
    "I12": i12_audit_holds.broken,
    "I13": i13_secret_kept.broken,
    "I14": i14_surplus_found.broken,
    "I15": i15_one_decides.broken,
    "I16": i16_shown_is_true.broken,
    "I17": i17_cancel_holds.broken,
    "I18": i18_moments_hold.broken,
    "I19": i19_signals_once.broken,
    "I20": i20_open_is_let_alone.broken,
}


_OF_HONEST = frozenset({"I1", "I2", "I3", "I4", "I6", "I7", "I10", "I16", "I17", "I18"})
"""What holds only where no operator has stated what is not so."""
_OF_PUNCTUAL = frozenset({"I1", "I4", "I6", "I16"})
"""What holds only where nothing lands later than its service declares; then I2, I3 and I14 ask for an alarm."""


def broken(record: Record) -> list[Violation]:
    """Every violation in this record."""
    found = [Violation(name, saga, says) for name, ask in ALL.items() for saga, says in ask(record)]
    return [v for v in found if not _excused(v, record)]


def _excused(violation: Violation, record: Record) -> bool:
    if not record.honest and violation.invariant in _OF_PUNCTUAL:
        return True
    return violation.saga in record.misled and violation.invariant in _OF_HONEST

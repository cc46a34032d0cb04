"""I16: `confirmed`, `declined` and `try_again` are never shown against the ledgers."""

from __future__ import annotations

from collections.abc import Iterator

from saga.core.model import View
from saga.testing.invariants.record import Record


def broken(record: Record) -> Iterator[tuple[str, str]]:
    """Answers that the ledger did not bear out at the moment at which they were shown."""
    said: set[tuple[str, str, int]] = set()
    for shown in record.shown:
        if shown.status == View.PROCESSING or (shown.saga, shown.status, shown.lines) in said:
            continue
        said.add((shown.saga, shown.status, shown.lines))
        net = record.net(shown.saga, shown.lines)
        expected = record.started.get(shown.saga)
        for step in sorted({*net, *(expected or ())}):
            stands = net.get(step, 0)
            if not record.exact(shown.saga, step):
                continue
            if shown.status == View.CONFIRMED and expected is not None and stands != int(step in expected):
                yield shown.saga, f"it was shown as confirmed when {step} stood {stands} times"
            if (
                shown.status in (View.DECLINED, View.TRY_AGAIN)
                and stands
                and not record.stands(shown.saga, step)
            ):
                yield shown.saga, f"it was shown as {shown.status} when {step} stood {stands} times"

"""I19: a signal is given to one wait, once, and none that came in time is passed over.

By the ledgers: what a signal says stands in the requests of one step at the most, because no two steps are asked for the same. By
what its sender was told: a wait was out of time only when nothing had been sent by then that nobody has taken.
"""

from __future__ import annotations

from collections.abc import Iterator

from saga.testing.invariants.record import MomentClaim, Record, SentSignal


def broken(record: Record) -> Iterator[tuple[str, str]]:
    """Signals that were given twice, or not at all."""
    for signal in record.signals:
        steps = {
            sent.named.step for sent in record.sent.get(signal.saga, []) if signal.payload in sent.arguments
        }
        if len(steps) > 1:
            yield signal.saga, f"the signal {signal.payload} was given to {' and to '.join(sorted(steps))}"
        claim = record.claims.get(signal.saga)
        for moment in () if claim is None or steps else claim.moments:
            if _passed_over(moment, signal):
                yield (
                    signal.saga,
                    f"{moment.step} was out of time although {signal.payload} had come at {signal.at}",
                )


def _passed_over(moment: MomentClaim, signal: SentSignal) -> bool:
    waited = moment.kind == "signal" and moment.step.rpartition("/")[2].partition("#")[0] == signal.name
    out_of_time = moment.ended_at is not None and moment.signal is None
    return waited and out_of_time and moment.due_at is not None and signal.at <= moment.due_at

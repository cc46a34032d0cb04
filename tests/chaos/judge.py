"""The audit, saga by saga: what the ledgers hold against how each saga ended and what its customer was told. Pure.

* *applied twice*: two effects of one action for one saga, whether the service dedups or not;
* *undone twice*, *undone before it landed*, *a wrong request*: what no correct engine sends;
* completed: every expected action exactly once, nothing undone; compensated: what landed was undone once, in reverse;
* parked: only in doubt, which is honest where a service could not be asked within the step's budget, and of so few;
* a word: `confirmed` with an effect missing at that moment, or undone at any; `declined` or `try_again` with an effect
  standing at that moment, or landing later; `declined` without a refusal or a cancel; `confirmed` of what was refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from saga.core.model import ENDS, ParkCause, SagaStatus, View
from tests.chaos.books import Books, Ended, Shown, Wanted
from tests.chaos.sagas import AT_ONCE, EXPECTED
from tests.chaos.services.ledger import Kind, Line

NOTHING: list[Line] = []
IN_DOUBT_AT_MOST = 0.001
"""Of all sagas: what a service that dedups and can be asked may leave to a person, at 5 % ambiguous calls."""


def judge(books: Books) -> dict[str, list[str]]:
    """What is wrong, by the saga's key; "" is for what belongs to none."""
    found: dict[str, list[str]] = {}
    for key in {*books.wanted, *books.sagas, *books.lines} - {""}:
        wrong = list(_of_one(books, key))
        if wrong:
            found[key] = wrong
    whole = [*books.broke, *_too_many_in_doubt(books)]
    if whole:
        found[""] = whole
    return found


def _too_many_in_doubt(books: Books) -> Iterator[str]:
    count = sum(saga.park_cause == ParkCause.IN_DOUBT for saga in books.sagas.values())
    if count > IN_DOUBT_AT_MOST * len(books.sagas):
        yield f"{count} of {len(books.sagas)} sagas are parked in doubt"


def _of_one(books: Books, key: str) -> Iterator[str]:
    wanted, ended, lines = books.wanted.get(key), books.sagas.get(key), books.lines.get(key, NOTHING)
    if wanted is None:
        yield "nobody asked for it"
        return
    if ended is None:
        if wanted.acknowledged:
            yield "its start was acknowledged, and it is not there"
        if lines:
            yield "it is not there, and services have worked for it"
        return
    yield from _requests(lines)
    yield from _end(wanted, ended, lines)
    for shown in wanted.shown:
        yield from _word(wanted, lines, shown)


def _requests(lines: list[Line]) -> Iterator[str]:
    effects = Counter((line.action, line.service) for line in lines if line.kind is Kind.EFFECT)
    yield from (f"{action} was applied {n} times at {at}" for (action, at), n in effects.items() if n > 1)
    undos = Counter(line.undoes for line in lines if line.kind is Kind.UNDO)
    yield from (f"effect {effect} was undone {n} times" for effect, n in undos.items() if n > 1)
    landed = {line.id: line.at for line in lines if line.kind is Kind.EFFECT}
    for line in lines:
        if line.kind is Kind.WRONG:
            yield f"a wrong request, {line.action} at {line.service}: {line.said}"
        if line.kind is Kind.UNDO and landed.get(line.undoes or "", line.at + 1) > line.at:
            yield f"{line.action} undid what had not landed"


def _end(wanted: Wanted, ended: Ended, lines: list[Line]) -> Iterator[str]:
    effects = [line for line in lines if line.kind is Kind.EFFECT]
    undone = [line.undoes for line in lines if line.kind is Kind.UNDO]
    if ended.alarm is not None:
        yield f"an alarm rings, and no service broke a promise: {ended.alarm}"
    match ended.status:
        case SagaStatus.COMPLETED:
            if sorted(line.action for line in effects) != sorted(EXPECTED[ended.name]):
                yield f"completed with {[line.action for line in effects]}"
            if undone:
                yield f"completed, and {len(undone)} effects were undone"
            if wanted.refuse is not None:
                yield f"completed although {wanted.refuse} is always refused"
        case SagaStatus.COMPENSATED:
            left = [line.action for line in effects if line.id not in undone]
            if left:
                yield f"compensated, and {left} stand"
            order = [line.id for line in effects if line.id in undone]
            if ended.name not in AT_ONCE and undone != order[::-1]:
                yield "undone in another order than the reverse"
        case SagaStatus.PARKED:
            if ended.park_cause != ParkCause.IN_DOUBT:  # those are counted together
                yield f"parked, {ended.park_cause}: {ended.park_reason}"
        case status:
            if status not in ENDS:
                yield f"not ended: {status}"


def _word(wanted: Wanted, lines: list[Line], shown: Shown) -> Iterator[str]:
    effects = {line.id: line for line in lines if line.kind is Kind.EFFECT}
    undone = {line.undoes: line.at for line in lines if line.kind is Kind.UNDO}
    match shown.word:
        case View.CONFIRMED:
            there = {line.action for line in effects.values() if line.at <= shown.at}
            if there != set(EXPECTED[wanted.name]) or undone:
                yield f"told confirmed with {sorted(there)} and {len(undone)} undone"
        case View.DECLINED | View.TRY_AGAIN:
            standing = [e.action for e in effects.values() if undone.get(e.id, shown.at + 1) > shown.at]
            if standing:
                yield f"told {shown.word}, and {standing} stood or landed later"
            if shown.word == View.DECLINED and wanted.refuse is None and not wanted.cancelled:
                yield "told declined, and nobody refused or cancelled"
        case _:
            return

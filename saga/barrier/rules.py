"""The rules of a barrier (S36), as generators that yield statements and are sent rows: no driver, no I/O.

Rules that hold here: both sides insert-ignore the action's row first, so the unique key decides who came
first and makes two at once wait; a compensation that finds no action fences it and skips itself; a key with
another request is a mismatch; a block that is left by an exception leaves no row behind.
Written once, and driven over sync and async connections by `saga.barrier.seam`.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from saga.barrier import statements as sql
from saga.barrier.records import BarrierError, Claim, InProgress, Record, RequestMismatch, Side, State
from saga.store.sql import Statement

T = TypeVar("T")
Row: TypeAlias = tuple[Any, ...]


class Locked(Exception):
    """The database gave up waiting for a lock, as it was told to."""


@dataclass(frozen=True, slots=True)
class Query:
    """One statement with its values."""

    statement: Statement
    values: dict[str, Any]


Steps: TypeAlias = Generator[Query, Row | None, T]


@dataclass(frozen=True, slots=True)
class Entered:
    """What came of a claim. mine: the work is ours to do. record: what the key holds. action: for a
    compensation, what it undoes.
    """

    claim: Claim
    mine: bool
    record: Record
    action: Record | None = None


def enter(claim: Claim, wait_ms: int | None) -> Steps[Entered]:
    """Open the block: find out whether the work is ours.

    wait_ms: how long another transaction may hold the key; None for as long as it takes.

    Raises:
        RequestMismatch: the key was used with another request.
        InProgress: waited for too long, or a row outside of any transaction has not ended.
    """
    yield Query(sql.SAVE, {})
    try:
        before = yield from _limited(wait_ms)
        rules = _action if claim.side is Side.ACTION else _compensation
        entered = yield from rules(claim)
        if before is not None:
            yield Query(sql.BE_PATIENT, {"limit": before})
    except (Locked, BarrierError) as error:
        yield from undo()
        if isinstance(error, Locked):
            raise InProgress(claim.key) from error
        raise
    if not entered.mine:
        yield Query(sql.FREE, {})
    return entered


def leave(
    entered: Entered, state: State, result: str | None = None, reply: str | None = None
) -> Steps[Record]:
    """Close the block after the work: the row becomes final, unless it is left `started` on purpose."""
    claim = entered.claim
    if state is not State.STARTED:
        yield from finish(claim, state, result, reply)
    yield Query(sql.FREE, {})
    return _record(claim, (state, claim.request_hash, result, reply))


def undo() -> Steps[None]:
    """Close the block after an exception: neither work nor row remains."""
    yield Query(sql.UNDO, {})
    yield Query(sql.FREE, {})


def finish(claim: Claim, state: State, result: str | None, reply: str | None) -> Steps[None]:
    """Make a started row final.

    Raises:
        BarrierError: it is not ours any more: the transaction that inserted it has ended.
    """
    values = {"state": state.value, "result": result, "reply": reply, **_place(claim.key, claim.side)}
    if (yield Query(sql.FINISH, values)) is None:
        raise BarrierError(
            f"key {claim.key} is not held any more: the transaction ended inside the block, or twice"
        )


def forget(claim: Claim) -> Steps[None]:
    """Give a started row back: nothing was done under the key, and the next request may try."""
    yield Query(sql.FORGET, _place(claim.key, claim.side))


def fence(key: str, wait_ms: int | None) -> Steps[Record]:
    """Fence the action, unless something is there; what the key holds after that.

    Raises:
        InProgress: another transaction holds the key for longer than `wait_ms`.
    """
    yield Query(sql.SAVE, {})
    try:
        before = yield from _limited(wait_ms)
        record = yield from _fenced(key)
        if before is not None:
            yield Query(sql.BE_PATIENT, {"limit": before})
    except Locked as error:
        yield from undo()
        raise InProgress(key) from error
    yield Query(sql.FREE, {})
    return record


def look(key: str, side: Side) -> Steps[Record | None]:
    """What was committed under the key on that side; None: nothing, which proves nothing (S13)."""
    row = yield Query(sql.READ, _place(key, side))
    return None if row is None else _record(Claim(key, side), row)


def purge(age_s: float, most: int) -> Steps[int]:
    """Remove up to `most` keys of that age, both sides or neither; how many rows that was."""
    found = yield Query(sql.OLD, {"age": age_s, "most": most})
    if found is None or found[0] is None:
        return 0
    gone = yield Query(sql.PURGE, {"age": age_s, "keys": found[0]})
    return 0 if gone is None else int(gone[0])


def _action(claim: Claim) -> Steps[Entered]:
    while True:
        if (yield from _insert(claim, State.STARTED)):
            return Entered(claim, mine=True, record=_started(claim))
        row = yield Query(sql.READ, _place(claim.key, claim.side))
        if row is not None:  # else it was purged in between
            return Entered(claim, mine=False, record=_same(claim, row))


def _compensation(claim: Claim) -> Steps[Entered]:
    action = yield from _fenced(claim.key)
    if action.state is State.STARTED:  # outside of a transaction: there may be something to undo soon
        raise InProgress(claim.key)
    while not (yield from _insert(claim, State.STARTED)):
        row = yield Query(sql.READ, _place(claim.key, claim.side))
        if row is not None:
            return Entered(claim, mine=False, record=_same(claim, row), action=action)
    if action.state is State.DONE:
        return Entered(claim, mine=True, record=_started(claim), action=action)
    yield from finish(claim, State.SKIPPED, None, None)
    skipped = _record(claim, (State.SKIPPED, claim.request_hash, None, None))
    return Entered(claim, mine=False, record=skipped, action=action)


def _fenced(key: str) -> Steps[Record]:
    """The action's row, inserted as a fence where there was none, and held against a purge."""
    claim = Claim(key)
    while True:
        if (yield from _insert(claim, State.FENCED)):
            return _record(claim, (State.FENCED, None, None, None))
        row = yield Query(sql.HOLD, _place(key, Side.ACTION))
        if row is not None:
            return _record(claim, row)


def _insert(claim: Claim, state: State) -> Steps[bool]:
    values = {"name": claim.name, "state": state.value, "request_hash": claim.request_hash}
    return (yield Query(sql.INSERT, {**values, **_place(claim.key, claim.side)})) is not None


def _limited(wait_ms: int | None) -> Steps[str | None]:
    """Limit the wait for locks to `wait_ms`; the limit as it was before, None where nothing was changed."""
    if wait_ms is None:
        return None
    before = yield Query(sql.PATIENCE, {})
    assert before is not None, "current_setting always gives a row"
    yield Query(sql.BE_PATIENT, {"limit": f"{max(wait_ms, 1)}ms"})  # 0 would be no limit at all
    return str(before[0])


def _same(claim: Claim, row: Row) -> Record:
    record = _record(claim, row)
    hashes = {claim.request_hash, record.request_hash} - {None}
    if len(hashes) > 1:
        raise RequestMismatch(claim.key)
    return record


def _record(claim: Claim, row: Row) -> Record:
    state, request_hash, result, reply = row
    return Record(
        claim.key,
        claim.side,
        State(state),
        request_hash,
        None if result is None else json.loads(result),
        None if reply is None else json.loads(reply),
    )


def _started(claim: Claim) -> Record:
    return _record(claim, (State.STARTED, claim.request_hash, None, None))


def _place(key: str, side: Side) -> dict[str, Any]:
    return {"key": key, "side": side.value}

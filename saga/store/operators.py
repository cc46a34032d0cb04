"""What operators do to a saga: cancel, compensate, abandon, retry, resolve.

Rules that hold here (S31, S37, S38): an act writes requests and evidence, and never an outcome; only a saga without an
owner is ended from here; what could hide or double an effect is refused as unsafe.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from saga.core.evidence import Evidence, RetryAsked, StatedLanded, StatedNever
from saga.core.model import ENDS, Direction, EffectStatus, ParkCause, SagaStatus
from saga.core.verdict import UNSTORABLE
from saga.errors import NotFoundError, Unsafe
from saga.store import audit
from saga.store.acts import ABANDON, ACKNOWLEDGE, Act, Acted, Seen, again, apply, effects_of, lock, observe
from saga.store.connections import Connection
from saga.store.sagas import EffectRow


@dataclass(frozen=True, slots=True)
class Said:
    """An operator's statement about one effect. `result`: JSON text; None says that it never landed.

    lateness: how long after its deadline it may still land, where that is known. insists: the operator answers for
    what is still on its way.
    """

    step: str
    direction: Direction
    result: str | None
    lateness: timedelta | None = None
    insists: bool = False


Judge = Callable[[Seen, Sequence[EffectRow]], None]
"""Looks at what is there under the lock, and raises `Unsafe` where the act must not be."""


async def cancel(connection: Connection, schema: str, act: Act) -> Acted:
    """Request that a forward saga turns backward when what is in flight is settled (S31).

    Raises:
        Unsafe: too late, it has ended or is being undone already.
        Overtaken, NotFoundError: as every act.
    """

    def allow(seen: Seen) -> None:
        if seen.status in ENDS:
            raise Unsafe(f"too late: {seen.key} has ended, it is {seen.status}")
        if seen.direction is Direction.BACKWARD:
            raise Unsafe(f"too late: {seen.key} is being undone already")

    return await _request_turn(connection, schema, act, "cancel", allow)


async def compensate(connection: Connection, schema: str, act: Act) -> Acted:
    """Request that a parked forward saga is undone: the same durable request as a cancel.

    Raises:
        Unsafe: it is not parked, or goes backward already.
        Overtaken, NotFoundError: as every act.
    """

    def allow(seen: Seen) -> None:
        if seen.status is not SagaStatus.PARKED:
            raise Unsafe(f"{seen.key} is {seen.status} and not parked: use `saga cancel` on one that moves")
        if seen.park_cause is ParkCause.LANDED_LATE:
            return  # what landed late is undone, whichever end the saga had (S16)
        if seen.direction is Direction.BACKWARD:
            raise Unsafe(f"{seen.key} is being undone already: see `saga why {seen.id}`")

    return await _request_turn(connection, schema, act, "compensate", allow)


async def _request_turn(
    connection: Connection, schema: str, act: Act, word: str, allow: Callable[[Seen], None]
) -> Acted:
    async def go() -> Acted:
        seen = await lock(connection, schema, act)
        allow(seen)
        return await apply(connection, schema, act, seen, word=word, cancel=True)

    return await again(connection, go)


async def abandon(connection: Connection, schema: str, act: Act) -> Acted:
    """End a saga and claim nothing about what was done or undone (S38).

    Raises:
        Unsafe: it has ended, or a worker owns it at this moment.
        Overtaken, NotFoundError: as every act.
    """

    async def go() -> Acted:
        seen = await lock(connection, schema, act)
        if seen.status in ENDS:
            raise Unsafe(f"{seen.key} has ended, it is {seen.status}: there is nothing to abandon")
        if seen.status is SagaStatus.RUNNING:
            raise Unsafe(
                f"{seen.key} is running, and only its worker may end it: `saga cancel` it, or stop the worker, "
                "and abandon it when it rests"
            )
        return await apply(connection, schema, act, seen, word="abandon", statement=ABANDON)

    return await again(connection, go)


async def retry(connection: Connection, schema: str, act: Act, judge: Judge) -> Acted:
    """Wake a saga that is parked or asleep, and give what is in doubt its budgets anew.

    Of one that has ended in alarm, a person has seen the alarm: it is over, and nothing else is done.

    Raises:
        Unsafe: it neither waits nor sleeps, or `judge` says so.
        Overtaken, NotFoundError: as every act.
    """

    async def go() -> Acted:
        seen = await lock(connection, schema, act)
        if seen.ended_in_alarm:
            detail = {"acknowledged": seen.alarm}
            return await apply(
                connection, schema, act, seen, word="retry", detail=detail, statement=ACKNOWLEDGE
            )
        if seen.status not in {SagaStatus.PARKED, SagaStatus.ASLEEP}:
            raise Unsafe(f"{seen.key} is {seen.status}: only what is parked or asleep can be retried")
        effects = await effects_of(connection, schema, seen.id)
        judge(seen, effects)
        anew = [effect for effect in effects if is_open(effect)]
        for effect in anew:
            await observe(connection, schema, effect, RetryAsked(act.who, act.because, seen.now))
        steps = {"steps": [f"{e.step} {e.direction}" for e in anew]}
        return await apply(connection, schema, act, seen, word="retry", detail=steps)

    return await again(connection, go)


async def resolve(connection: Connection, schema: str, act: Act, said: Said) -> Acted:
    """Add an operator's statement to the evidence of one effect; the engine decides what follows (S37).

    Raises:
        Unsafe: the effect is not in doubt, or its call is under way.
        Overtaken, NotFoundError: as every act.
    """

    async def go() -> Acted:
        seen = await lock(connection, schema, act)
        effects = await effects_of(connection, schema, seen.id)
        effect = next((e for e in effects if (e.step, e.direction) == (said.step, said.direction)), None)
        if effect is None:
            raise NotFoundError(f"{seen.key} has no effect {said.step} ({said.direction})")
        check_statement(seen, effect, landed=said.result is not None,
                        lateness=None if said.insists else said.lateness)  # fmt: skip
        for evidence in _statement(seen, effect, act, said):
            await observe(connection, schema, effect, evidence)
        detail = {"step": said.step, "direction": said.direction, "attempt": effect.attempt,
                  "says": "never" if said.result is None else "landed", "result": said.result}  # fmt: skip
        return await apply(connection, schema, act, seen, word="resolve", detail=detail)

    return await again(connection, go)


async def note(connection: Connection, schema: str, act: Act, word: str, detail: dict[str, Any]) -> None:
    """Audit an act that the engine made needless before it was done; nothing else is written."""

    async def go() -> None:
        await audit.append(
            connection, schema, who=act.who, act=word, saga_id=act.saga_id, because=act.because, detail=detail
        )

    await again(connection, go)


def check_statement(
    seen: Seen, effect: EffectRow, *, landed: bool, lateness: timedelta | None = None
) -> None:
    """Raise `Unsafe` unless a statement about this effect can mean anything.

    lateness: how long after its deadline it may still land; None: not known, or somebody answers for it.
    """
    if landed and (effect.proof == UNSTORABLE or waits_for_hands(seen, effect)):
        return
    if effect.status not in {EffectStatus.SENT, EffectStatus.DOUBT}:
        how = "is by statement" if effect.by_statement else "is proven"
        raise Unsafe(f"{effect.step} is not in doubt: it is {effect.status}, and that {how}")
    if (
        effect.status is EffectStatus.SENT
        and seen.status is SagaStatus.RUNNING
        and seen.now < effect.deadline_at
    ):
        left = (effect.deadline_at - seen.now).total_seconds()
        raise Unsafe(
            f"the call of {effect.step} is under way, for {left:.0f} s at the most: wait for its outcome"
        )
    quiet = None if landed or lateness is None else effect.deadline_at + lateness
    if quiet is not None and seen.now < quiet:
        left = (quiet - seen.now).total_seconds()
        raise Unsafe(
            f"{effect.step} may still land for {left:.0f} s, so nobody can know yet: look again after that, and state "
            "it then; --yes states it now, and you answer for what is on its way"
        )


def waits_for_hands(seen: Seen, effect: EffectRow) -> bool:
    """Whether its saga is parked because the service does not do this undo for us, so that a person must (S29)."""
    if effect.direction is Direction.FORWARD:
        return False
    refused = seen.park_cause is ParkCause.COMPENSATION_REFUSED and effect.status is EffectStatus.REFUSED
    stuck = seen.park_cause is ParkCause.COMPENSATION_STUCK and effect.status is EffectStatus.IDLE
    return refused or stuck


def is_open(effect: EffectRow) -> bool:
    """Whether an effect has a budget that can be given anew: in doubt, or an undo that is not done."""
    undo_left = effect.direction is Direction.BACKWARD and effect.status is EffectStatus.IDLE
    return undo_left or effect.status in {EffectStatus.SENT, EffectStatus.DOUBT}


def _statement(seen: Seen, effect: EffectRow, act: Act, said: Said) -> list[Evidence]:
    if said.result is not None:
        by_hand = waits_for_hands(seen, effect)
        return [StatedLanded(effect.attempt, act.who, act.because, said.result, by_hand)]
    never: list[Evidence] = [
        StatedNever(effect.attempt, act.who, act.because, None if said.insists else seen.now)
    ]
    if effect.direction is Direction.BACKWARD:  # an undo that never landed must be sent anew
        never.append(RetryAsked(act.who, act.because, seen.now))
    return never

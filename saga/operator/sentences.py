"""What an act would do, as a sentence, before it is done; and whether it would be refused.

Rule: nothing here acts; the store looks again under the lock, and its word is final.
"""

from __future__ import annotations

from datetime import timedelta

from saga.core.durations import show
from saga.core.model import ENDS, Direction, ParkCause, SagaStatus
from saga.errors import Unsafe
from saga.operator.effects import Definition, judge_retry, landed_late, named
from saga.operator.records import Preview
from saga.store.acts import Seen
from saga.store.operators import check_statement, is_open, waits_for_hands
from saga.store.queries import SagaLine, Story
from saga.store.sagas import EffectRow


def sentence_of(act: str, story: Story) -> str:
    """What it would do."""
    saga = story.saga
    match act:
        case "retry" if seen_of(saga).ended_in_alarm:
            return (
                f"{saga.key} has ended, it is {saga.status}, in alarm ({saga.alarm}): you have seen that, and the alarm "
                f"is over; the customer sees {saga.calm_view.replace('_', ' ')}, and nothing else is done"
            )
        case "retry" if saga.unbegun:
            return f"{saga.key} has not begun: it starts now, and not in {show(saga.wake_at - saga.now)}"
        case "retry":
            anew = [named(e) for e in story.effects if is_open(e)]
            budgets = f", with new budgets for {', '.join(anew)}" if anew else ""
            return f"{saga.key} is {_where(saga)}: it goes on from where it stands{budgets}"
        case "compensate" if saga.park_cause is ParkCause.LANDED_LATE:
            late = ", ".join(e.step for e in landed_late(story))
            return f"{saga.key} is {_where(saga)}: {late} is undone, and nothing else; then it ends as was decided before"
        case "cancel" if saga.unbegun:
            return f"{saga.key} has not begun: it never does, and nothing is sent"
        case "compensate" | "cancel":
            return f"{saga.key} is {_where(saga)}: it stops going forward, and what it did is undone"
        case "abandon":
            return (
                f"{saga.key} is {_where(saga)}: it ends, and nothing is claimed about what was done or undone"
            )
        case _:
            raise ValueError(f"{act} is no act")


def refusal_of(act: str, story: Story, definition: Definition | None) -> str | None:
    """Why the act must not be, or None; the same rules as the store's, for the preview."""
    saga = story.saga
    try:
        if act == "retry" and seen_of(saga).ended_in_alarm:
            return None
        if act == "retry":
            if saga.status not in {SagaStatus.PARKED, SagaStatus.ASLEEP}:
                return f"{saga.key} is {saga.status}: only what is parked or asleep can be retried"
            judge_retry(definition, story, seen_of(saga), story.effects)
    except Unsafe as error:
        return str(error)
    if act == "compensate" and saga.park_cause is ParkCause.LANDED_LATE:
        return None  # what landed late is undone, whichever end the saga had (S16)
    if saga.status in ENDS:
        return f"{saga.key} has ended, it is {saga.status}"
    match act:
        case "compensate" if saga.status is not SagaStatus.PARKED:
            return f"{saga.key} is {saga.status} and not parked: use `saga cancel` on one that moves"
        case "compensate" | "cancel" if saga.direction is Direction.BACKWARD:
            return f"{saga.key} is being undone already"
        case "abandon" if saga.status is SagaStatus.RUNNING:
            return f"{saga.key} is running, and only its worker may end it: cancel it, or abandon it when it rests"
        case _:
            return None


def statement_preview(
    story: Story, effect: EffectRow, *, landed: bool, lateness: timedelta | None
) -> Preview:
    """What a statement about this effect would say, and whether it would be refused."""
    what = "landed" if landed else "never landed, and never will"
    sentence = f"{story.saga.key}: the service is asked once more, then you state that {named(effect)} {what}"
    seen = seen_of(story.saga)
    if landed and waits_for_hands(seen, effect):
        sentence = f"{story.saga.key}: you state that {named(effect)} was done by hand; {effect.service} is not asked"
    try:
        check_statement(seen, effect, landed=landed, lateness=lateness)
    except Unsafe as error:
        return Preview(story.saga, sentence, str(error))
    return Preview(story.saga, sentence)


def seen_of(saga: SagaLine) -> Seen:
    """A listed saga as the store's rules look at it."""
    return Seen(
        saga.id,
        saga.name,
        saga.version,
        saga.key,
        saga.status,
        saga.direction,
        saga.revision,
        saga.park_cause,
        saga.alarm,
        saga.now,
    )


def _where(saga: SagaLine) -> str:
    if saga.park_reason:
        return f"parked ({saga.park_reason})"
    return f"{saga.status}, going {saga.direction}" if saga.status not in ENDS else str(saga.status)

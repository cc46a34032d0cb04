"""`saga why`: why one saga does not move, which evidence there is, what would settle it, what happens next, when (S40).

Rules that hold here: what is recorded is all that is said; a sentence ends with what happens next, by itself or by
whom; ages are by the database's clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from shlex import quote
from typing import Any, assert_never

from saga.core.durations import show
from saga.core.model import ENDS, EffectStatus, MomentKind, ParkCause, SagaStatus
from saga.operator.effects import IN_DOUBT, named
from saga.operator.sentences import seen_of
from saga.operator.services import of_saga, stands
from saga.store.operators import waits_for_hands
from saga.store.queries import SagaLine, Story
from saga.store.sagas import EffectRow
from saga.store.services import ServiceRow
from saga.store.stuck import WorkerLine


def sentence(story: Story, workers: Sequence[WorkerLine], services: Sequence[ServiceRow] = ()) -> str:
    """The sentence for this saga."""
    saga = story.saga
    if saga.alarm is not None and saga.status is not SagaStatus.PARKED:
        return _alarmed(saga)
    match saga.status:
        case SagaStatus.PARKED:
            return _parked(story)
        case SagaStatus.ASLEEP if saga.unbegun:
            at = saga.wake_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
            return (
                f"{saga.key} has not begun: it starts at {at}, {_in(saga.wake_at, saga.now)}; {_by_whom(saga, workers)} takes it "
                f"then; `saga cancel {quote(saga.key)}` before that, and nothing is ever sent."
            )
        case SagaStatus.ASLEEP if (row := of_saga(saga.waiting_for, services)) is not None:
            return f"{saga.key} waits for service {row.name}, which {stands(row)}{_doubts(story)}; nothing is counted meanwhile."
        case SagaStatus.ASLEEP:
            until = _in(saga.wake_at, saga.now)
            return f"{saga.key} waits for {saga.waiting_for or 'its time'}{_doubts(story)}; {_by_whom(saga, workers)} looks again {until}{_signals(story)}."
        case SagaStatus.READY:
            return f"{saga.key} is ready since {_ago(saga.wake_at, saga.now)}{_doubts(story)}; {_by_whom(saga, workers)} takes it next."
        case SagaStatus.RUNNING:
            return _running(story, workers)
        case SagaStatus.COMPLETED | SagaStatus.COMPENSATED | SagaStatus.ABANDONED:
            return _ended(story)
        case _:
            assert_never(saga.status)


def _parked(story: Story) -> str:
    saga, key = story.saga, quote(story.saga.key)
    reason = saga.park_reason or "no reason is recorded"
    match saga.park_cause:
        case ParkCause.IN_DOUBT | ParkCause.MISMATCH:
            return _in_doubt(story, reason)
        case ParkCause.COMPENSATION_REFUSED:
            help_ = f"undo it by hand, then {_by_hand(story)}"
        case ParkCause.COMPENSATION_STUCK:
            help_ = (
                f'`saga retry {key} --because "…"` gives it another budget; '
                f"or undo it by hand, then {_by_hand(story)}"
            )
        case ParkCause.UNSTORABLE if "step" in saga.park_detail:
            step = saga.park_detail["step"]
            help_ = f'`saga resolve {key} {step} --landed --result JSON --because "…"` says what it gave'
        case ParkCause.SURPLUS:
            help_ = (
                f"the customer sees processing until then; look at {_service_of(story)}, undo there what is too much, "
                f'then `saga retry {key} --because "…"` goes on with the one that is kept'
            )
        case ParkCause.LANDED_LATE:
            help_ = (
                "the customer sees processing until then; "
                f'`saga compensate {key} --because "…"` undoes what landed late, and nothing else'
            )
        case ParkCause.CODE_CHANGED:
            help_ = f'deploy code that fits what is recorded, then `saga retry {key} --because "…"`'
        case ParkCause.CODE_FAILED | ParkCause.NOT_AWAITED | ParkCause.UNSTORABLE:
            help_ = f'fix the code, then `saga retry {key} --because "…"`'
        case _:
            help_ = f"see `saga show {key}`"
    word = "parked" if saga.park_cause is None else saga.park_cause.value.replace("_", " ")
    besides = f"; besides, {saga.alarm}" if saga.alarm and saga.park_cause not in _ALARMING else ""
    return f"{saga.key} waits for a person ({word}): {reason}{besides}; nothing is scheduled; {help_}."


_ALARMING = frozenset({ParkCause.SURPLUS, ParkCause.LANDED_LATE})
"""Causes that say what their alarm says."""


def _in_doubt(story: Story, reason: str) -> str:
    saga, key = story.saga, quote(story.saga.key)
    effects = [e for e in story.effects if e.status in IN_DOUBT]
    mismatch = saga.park_cause is ParkCause.MISMATCH
    what = "; ".join((_sent if mismatch else doubt)(story, e) for e in effects) or reason
    step = effects[0].step if effects else "STEP"
    ask = "" if "no probe" in reason else f"`saga probe {key} {step}` asks once more, "
    ways = f'{ask}`saga resolve {key} {step} --landed|--never --because "…"` settles it'
    return f"{saga.key} waits for a person: {what}; {_after_step(reason)}; nothing is scheduled; {ways}."


def _alarmed(saga: SagaLine) -> str:
    key = quote(saga.key)
    if saga.status in ENDS:
        way = (
            f'look at the service, and put right what is wrong by hand; `saga retry {key} --because "…"` then says '
            f"that you have seen it, and the customer sees {_word(saga.calm_view)}"
        )
    else:
        way = f"see `saga show {key}`"
    return (
        f"{saga.key} needs a person: {saga.alarm}; the customer sees processing until that is settled; {way}."
    )


def _by_hand(story: Story) -> str:
    """The statement that what the saga waits for was undone by hand (S29)."""
    seen = seen_of(story.saga)
    found = [e for e in story.effects if waits_for_hands(seen, e)]
    alone = [e.name for e in story.effects].count(found[0].name) == 1 if found else False
    step = (found[0].name if alone else quote(named(found[0]))) if found else "STEP"
    return f'`saga resolve {quote(story.saga.key)} {step} --landed --because "…"` says so, and the way back goes on'


def _service_of(story: Story) -> str:
    return str(story.saga.park_detail.get("service") or "the service")


def _word(value: str) -> str:
    """A stored word for people."""
    return value.replace("_", " ")


def _after_step(reason: str) -> str:
    """A parking's reason without the effect that it begins with."""
    return reason.split(": ", 1)[-1]


def _running(story: Story, workers: Sequence[WorkerLine]) -> str:
    saga = story.saga
    owner = next((w for w in workers if w.id == saga.owner), None)
    if owner is None or not owner.alive:
        then = f"{_by_whom(saga, workers)} takes it over when the lease is over"
        return f"{saga.key} was running at a worker that is silent now{_doubts(story)}; {then}."
    where = f"{saga.key} is running at {owner.host} (process {owner.pid})"
    for effect in story.effects:
        if effect.status is EffectStatus.SENT and effect.deadline_at > saga.now:
            left = show(effect.deadline_at - saga.now)
            return (
                f"{where}: {named(effect)}, attempt {effect.attempt}, is under way, for {left} at the most."
            )
    return f"{where}{_doubts(story) or _waits(story) or ', and moves'}."


def _waits(story: Story) -> str:
    """What a saga waits for that is in a worker's memory."""
    saga = story.saga
    for moment in story.moments:
        if moment.ended_at is None and moment.due_at is not None:
            return f": {moment.step} is over {_in(moment.due_at, saga.now)}"
    return ""


def _signals(story: Story) -> str:
    """What would end a wait for a signal."""
    for moment in story.moments:
        if moment.kind is MomentKind.SIGNAL and moment.ended_at is None:
            name = moment.step.rpartition("/")[2].partition("#")[0]
            return f", and at once when `saga signal {quote(story.saga.key)} {name} JSON` sends what it waits for"
    return ""


def _ended(story: Story) -> str:
    saga = story.saga
    ended = _ago(saga.finished_at or saga.updated_at, saga.now)
    if saga.purged_at is not None:
        return (
            f"{saga.key} ended {ended} ago, it is {saga.status}, and was purged {_ago(saga.purged_at, saga.now)} ago: what it "
            f"did is gone, and its key stays taken; the customer sees {_word(saga.view)}; nothing more happens."
        )
    match saga.status:
        case SagaStatus.COMPLETED:
            fell_back = ", ".join(_fell_back(d) for d in saga.degraded)
            more = f", degraded ({fell_back})" if fell_back else ""
            return f"{saga.key} completed {ended} ago{more}; the customer sees {_word(saga.view)}; nothing more happens."
        case SagaStatus.COMPENSATED:
            error = saga.error or {}
            said = " ".join(str(error[word]) for word in ("code", "message") if error.get(word))
            cause = _word(str(error.get("cause", "unknown")))
            return f"{saga.key} ended {ended} ago and everything it did is undone, because: {cause}{f' ({said})' if said else ''}; the customer sees {_word(saga.view)}; nothing more happens."
        case _:
            act = next((e for e in reversed(story.audit) if e.act == "abandon"), None)
            who = f"by {act.who}, because: {act.because}" if act else "by an operator"
            return f"{saga.key} was abandoned {ended} ago {who}; nothing is claimed about what was done or undone."


def _fell_back(degraded: dict[str, Any]) -> str:
    age: float | None = degraded.get("age")
    return f"{degraded['step']}{'' if age is None else f': a value {show(timedelta(seconds=age))} old'}"


def _doubts(story: Story) -> str:
    doubted = [e for e in story.effects if e.status is EffectStatus.DOUBT or _overdue(e, story.saga.now)]
    return "".join(f": {doubt(story, e)}" for e in doubted[:1])


def _overdue(effect: EffectRow, now: datetime) -> bool:
    return effect.status is EffectStatus.SENT and effect.deadline_at < now


def doubt(story: Story, effect: EffectRow) -> str:
    """What is in doubt, and which evidence there is."""
    probes = [
        e
        for e in story.evidence
        if e.kind == "probe" and (e.step, e.direction) == (effect.step, effect.direction)
    ]
    asked = "nobody was asked yet"
    if probes:
        said = _word(str(probes[-1].body.get("answer", "")))
        asked = (
            f"{len(probes)} probe{'s' if len(probes) > 1 else ''} could not decide (the last said: {said})"
        )
    return f"{_sent(story, effect)} and its answer was lost, {asked}"


def _sent(story: Story, effect: EffectRow) -> str:
    times = "" if effect.attempt == 1 else f" for the {_nth(effect.attempt)} time"
    return f"{named(effect)} was sent{times} {_ago(effect.intent_at, story.saga.now)} ago"


def _by_whom(saga: SagaLine, workers: Sequence[WorkerLine]) -> str:
    what = f"{saga.name} v{saga.version}"
    if any(w.alive and what in w.serves for w in workers):
        return "a worker"
    others = sorted({s for w in workers if w.alive for s in w.serves if s.rsplit(" v", 1)[0] == saga.name})
    instead = f" (workers serve {', '.join(others)})" if others else ""
    having = f" whose engine has {what} in its sagas=[…]" if others else ""
    return f"no worker serves {what}{instead}, start one with `saga worker run MODULE:ENGINE`{having}: it"


def _in(then: datetime, now: datetime) -> str:
    return "now" if then <= now else f"in {show(then - now)}"


def _ago(then: datetime, now: datetime) -> str:
    return show(max(now - then, timedelta(0)))


def _nth(number: int) -> str:
    return {2: "second", 3: "third"}.get(number, f"{number}th")

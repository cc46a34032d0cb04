"""`saga show`: one saga as a timeline, for people.

Rule: a line is an observation or an act, in the order of the database's clock; what follows from them is said last.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from saga.cli.output import state
from saga.core.durations import show
from saga.core.evidence import EvidenceKind
from saga.core.model import ENDS, Direction, EffectStatus, MomentKind
from saga.operator import EvidenceLine, Story
from saga.operator.effects import named
from saga.store.moments import MomentRow
from saga.store.sagas import EffectRow

LONGEST = 100
PROBES_SHOWN = 2


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the timeline; `rank`: what comes first of what one commit wrote."""

    at: datetime
    glyph: str
    what: str
    said: str
    rank: int = 1


def timeline(story: Story, why: str, *, attempts: bool, with_input: bool) -> str:
    """The text. attempts: every probe and attempt, not only those that matter."""
    saga = story.saga
    customer = str(saga.view).replace("_", " ")
    head = f"{saga.name} v{saga.version}   {saga.key}   {state(saga)}   started {_time(saga.created_at)} UTC   the customer sees: {customer}"
    lines = sorted(_lines(story, attempts=attempts), key=lambda line: (line.at, line.rank))
    width = max(len(line.what) for line in lines)
    body = [f"{_time(line.at)}  {line.glyph} {line.what:<{width}}  {line.said}".rstrip() for line in lines]
    tail = [f"id {saga.id}   revision {saga.revision}", why]
    if saga.tags:
        tail.insert(1, f"tags {', '.join(f'{name}={value}' for name, value in saga.tags.items())}")
    if with_input:
        tail.insert(0, f"input {_short(story.input, 4000)}")
    if story.plan is not None and saga.status not in ENDS:
        tail.insert(0, f"plan: undo {', then '.join(story.plan) or 'nothing'}")
    return "\n".join([head, *body, *tail])


def _lines(story: Story, *, attempts: bool) -> Iterable[Line]:
    saga = story.saga
    given = f"{len(story.input.encode())} B of input" if saga.purged_at is None else ""
    yield Line(saga.created_at, "+", "started", given, 0)
    if saga.unbegun:
        yield Line(
            saga.wake_at,
            ".",
            "begins",
            f"{saga.wake_at.astimezone(UTC):%Y-%m-%d}, in {show(saga.wake_at - saga.now)}",
        )
    for effect in story.effects:
        yield from _effect_lines(effect, story)
    for moment in story.moments:
        yield from _moment_lines(moment)
    for signal in story.signals:
        under = "" if signal.key is None else f"under {signal.key}   "
        yield Line(signal.sent_at, "+", f"signal {signal.name}", _short(f"{under}{signal.payload}"))
    hidden: set[int] = set() if attempts else _minor(story.evidence)
    probes: Counter[tuple[str, Direction]] = Counter()
    for number, one in enumerate(story.evidence):
        if one.kind == EvidenceKind.PROBE:
            probes[one.step, one.direction] += 1
        if number not in hidden:
            what = f"{one.step} {_kind(one, probes[one.step, one.direction])}"
            yield Line(one.at, _glyph(one), what, _short(_said(one)))
    if hidden:
        yield Line(story.evidence[max(hidden)].at, ".", f"{len(hidden)} more", "--attempts")
    for entry in story.audit:
        yield Line(entry.at, "!", f"{entry.act} by {entry.who}", f"because: {entry.because}", 3)
    if saga.park_reason:
        yield Line(saga.updated_at, "!", "parked", _short(saga.park_reason), 4)
    if saga.finished_at is not None:
        yield Line(saga.finished_at, state(saga)[0], str(saga.status), _short(_ending(saga.error)), 5)
    if saga.purged_at is not None:
        yield Line(saga.purged_at, "-", "purged", "its key stays taken, the rest is gone", 6)


def _effect_lines(effect: EffectRow, story: Story) -> Iterable[Line]:
    what = named(effect)
    told = any(
        (e.step, e.direction) == (effect.step, effect.direction) and e.kind == EvidenceKind.INTENT
        for e in story.evidence
    )
    if not told or effect.status is EffectStatus.SENT:
        yield Line(effect.intent_at, ">", what, f"attempt {effect.attempt}   key {effect.key[:12]}…")
    glyphs = {EffectStatus.SUCCEEDED: "v", EffectStatus.REFUSED: "x", EffectStatus.NOT_EXECUTED: "-",
              EffectStatus.DOUBT: "?", EffectStatus.ACCEPTED: "?", EffectStatus.IDLE: "-"}  # fmt: skip
    if effect.ended_at is not None and effect.status in glyphs:
        by = " by statement" if effect.by_statement else ""
        said = effect.result if effect.status is EffectStatus.SUCCEEDED else _failure(effect.error)
        word = str(effect.status).replace("_", " ")
        yield Line(effect.ended_at, glyphs[effect.status], what, f"{word}{by}   {_short(said or '')}", 2)


def _failure(error: str | None) -> str | None:
    """Why it failed; first, how old the value is that took its place."""
    told: dict[str, Any] = {} if error is None else json.loads(error)
    kept: dict[str, Any] | None = told.pop("last_good", None)
    if kept is None:
        return error
    return f"{told['reason']}   last good value, {show(timedelta(seconds=kept['age']))} old: {json.dumps(kept['value'])}"


def _moment_lines(moment: MomentRow) -> Iterable[Line]:
    if moment.value is not None:
        yield Line(moment.made_at, ".", moment.step, _short(moment.value))
        return
    due = "" if moment.due_at is None else f"until {_day(moment.due_at)}"
    yield Line(moment.made_at, ">", moment.step, due)
    if moment.ended_at is not None:
        came = moment.kind is not MomentKind.SIGNAL or moment.signal is not None
        glyph, said = ("v", "over") if came else ("-", "nobody sent it in time")
        yield Line(moment.ended_at, glyph, moment.step, said, 2)


def _minor(evidence: Iterable[EvidenceLine]) -> set[int]:
    """The probes in the middle of many."""
    probes = [n for n, one in enumerate(evidence) if one.kind == EvidenceKind.PROBE]
    return set(probes[PROBES_SHOWN:-1])


def _glyph(one: EvidenceLine) -> str:
    match one.kind:
        case EvidenceKind.INTENT:
            return ">"
        case EvidenceKind.REPLY | EvidenceKind.LATE_REPLY | EvidenceKind.WEBHOOK:
            return {"succeeded": "v", "refused": "x", "not_executed": "-"}.get(
                str(one.body.get("outcome")), "?"
            )
        case EvidenceKind.LOST:
            return "?"
        case EvidenceKind.STATEMENT:
            return "!"
        case _:
            return "."


def _kind(one: EvidenceLine, probe: int) -> str:
    """What it is, with the number of its attempt; of a probe, the probe's own."""
    undo = "undo " if one.direction is Direction.BACKWARD else ""
    number = probe if one.kind == EvidenceKind.PROBE else one.attempt
    shown = f" {number}" if number and one.kind != EvidenceKind.STATEMENT else ""
    return f"{undo}{one.kind.replace('_', ' ')}{shown}"


def _said(one: EvidenceLine) -> str:
    body = one.body
    match one.kind:
        case EvidenceKind.INTENT:
            return f"until {_time(datetime.fromisoformat(body['deadline']))}"
        case EvidenceKind.LOST:
            return "its worker went away before it told the outcome"
        case EvidenceKind.STATEMENT:
            return f"{body['by']} says {body['says']}, because: {body['because']}"
        case EvidenceKind.RETRY:
            return f"{body['by']} gave new budgets, because: {body['because']}"
        case EvidenceKind.PROBE:
            word = str(body.get("answer", "")).replace("_", " ")
            early = "   (proves nothing: a request may still land)" if _proves_nothing(body) else ""
            return f"{word} {_detail(body)}{early}"
        case _:
            excused = "   (its service was open: it counts against no budget)" if body.get("excused") else ""
            return f"{str(body.get('outcome', '')).upper().replace('_', ' ')} {_detail(body)}{excused}"


def _proves_nothing(body: dict[str, Any]) -> bool:
    return body.get("answer") == "not_found" and body.get("phase") == "early"


def _detail(body: dict[str, Any]) -> str:
    return "  ".join(str(body[word]) for word in ("code", "message", "reason", "result") if body.get(word))


def _ending(error: dict[str, Any] | None) -> str:
    if error is None:
        return ""
    cause = str(error.get("cause", "")).replace("_", " ")
    return "  ".join(filter(None, [cause, *(str(error.get(w) or "") for w in ("code", "message"))]))


def _short(text: str, limit: int = LONGEST) -> str:
    plain = "".join(c if c.isprintable() else " " for c in text)
    return plain if len(plain) <= limit else f"{plain[: limit - 1]}…"


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%H:%M:%S.%f")[:-4]

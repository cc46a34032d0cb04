"""How results look: tables for people, JSON for programs.

Rules that hold here: data goes to stdout; JSON carries "v": 1 and RFC 3339 times in UTC, and its keys are an interface;
a state is a word and a glyph, and colour never says anything alone, so there is none.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

import typer

from saga.core.durations import show
from saga.core.model import SagaStatus
from saga.operator import EvidenceLine, Finding, Preview, ProbeAnswer, SagaLine, Story, WorkerLine
from saga.store.audit import Entry
from saga.store.moments import MomentRow
from saga.store.sagas import EffectRow
from saga.store.signals import SignalRow

VERSION = 1
WIDEST = 80
"""The most characters of a cell, but in the wide form."""


class Form(StrEnum):
    """How to print."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    JSONL = "jsonl"


FormOption = Annotated[Form, typer.Option("--output", "-o", help="How to print the result.")]

GLYPHS = {
    SagaStatus.READY: "·", SagaStatus.RUNNING: "»", SagaStatus.ASLEEP: "~", SagaStatus.PARKED: "!",
    SagaStatus.COMPLETED: "✓", SagaStatus.COMPENSATED: "↶", SagaStatus.ABANDONED: "×",
}  # fmt: skip


def state(line: SagaLine) -> str:
    """A word and a glyph."""
    word = str(line.status) if line.park_cause is None else line.park_cause.value.replace("_", " ")
    turned = " (undoing)" if line.direction == "backward" and line.finished_at is None else ""
    return f"{'!' if line.needs_person else GLYPHS[line.status]} {word}{turned}"


def when(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def age(then: datetime, now: datetime) -> str:
    """How long ago."""
    return show(max(now - then, timedelta(0)))


def emit(form: Form, key: str, rows: Sequence[dict[str, Any]], table: Sequence[Sequence[str]]) -> None:
    """Print a list: rows as JSON, one a line with jsonl, or the table, whose first line is its head."""
    match form:
        case Form.JSON:
            print(json.dumps({"v": VERSION, key: list(rows)}, ensure_ascii=False))
        case Form.JSONL:
            for row in rows:
                print(json.dumps({"v": VERSION, **row}, ensure_ascii=False))
        case Form.TABLE | Form.WIDE:
            print_table(table, wide=form is Form.WIDE)


def emit_one(form: Form, record: dict[str, Any], text: str) -> None:
    """Print one thing: as JSON, or as text."""
    if form in {Form.JSON, Form.JSONL}:
        print(json.dumps({"v": VERSION, **record}, ensure_ascii=False))
    else:
        print(text)


def print_table(rows: Sequence[Sequence[str]], *, wide: bool = False) -> None:
    """Columns side by side; the first row is the head."""
    cells = [[_cell(cell, wide=wide) for cell in row] for row in rows]
    widths = [max(_width(row[n]) for row in cells) for n in range(len(cells[0]))]
    for row in cells:
        padded = (cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True))
        print("  ".join(padded).rstrip())


def _cell(text: str, *, wide: bool) -> str:
    plain = "".join(c if c.isprintable() else " " for c in text)
    return plain if wide or len(plain) <= WIDEST else plain[: WIDEST - 1] + "…"


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else not unicodedata.combining(c) for c in text)


def saga_json(line: SagaLine) -> dict[str, Any]:
    """A saga's row for programs."""
    return {
        "id": str(line.id), "name": line.name, "version": line.version, "key": line.key, "status": line.status,
        "direction": line.direction, "view": line.view, "needs_person": line.needs_person, "revision": line.revision,
        "wake_at": when(line.wake_at), "waiting_for": line.waiting_for,
        "owner": None if line.owner is None else str(line.owner), "cancel_requested": line.cancel_requested,
        "park_cause": line.park_cause, "park_reason": line.park_reason, "alarm": line.alarm, "error": line.error,
        "degraded": list(line.degraded), "deadline_at": when(line.deadline_at), "created_at": when(line.created_at),
        "updated_at": when(line.updated_at), "finished_at": when(line.finished_at), "purged_at": when(line.purged_at),
        "tags": line.tags,
    }  # fmt: skip


def saga_rows(lines: Iterable[SagaLine], *, wide: bool) -> list[list[str]]:
    """A list of sagas for people."""
    head = ["ID", "SAGA", "KEY", "STATE", "AGE", "SINCE", "CUSTOMER", "WHY"]
    rows = [
        [
            str(line.id) if wide else str(line.id)[:18], f"{line.name} v{line.version}", line.key, state(line),
            age(line.created_at, line.now), age(line.updated_at, line.now), str(line.view).replace("_", " "),
            line.alarm or line.park_reason or line.waiting_for or "",
        ]
        for line in lines
    ]  # fmt: skip
    return [head, *rows]


def effect_json(effect: EffectRow) -> dict[str, Any]:
    """An effect for programs."""
    return {
        "step": effect.step, "direction": effect.direction, "name": effect.name, "service": effect.service,
        "key": effect.key, "status": effect.status, "attempt": effect.attempt,
        "first_intent_at": when(effect.first_intent_at), "intent_at": when(effect.intent_at),
        "deadline_at": when(effect.deadline_at), "key_expires_at": when(effect.key_expires_at),
        "ended_at": when(effect.ended_at), "doubt_since": when(effect.doubt_since), "probes": effect.probes,
        "proof": effect.proof, "by_statement": effect.by_statement,
        "result": None if effect.result is None else json.loads(effect.result),
        "error": None if effect.error is None else json.loads(effect.error),
    }  # fmt: skip


def evidence_json(line: EvidenceLine) -> dict[str, Any]:
    """An observation for programs."""
    worker = None if line.worker is None else str(line.worker)
    return {"step": line.step, "direction": line.direction, "attempt": line.attempt, "kind": line.kind,
            "at": when(line.at), "worker": worker, "body": line.body}  # fmt: skip


def moment_json(moment: MomentRow) -> dict[str, Any]:
    """A moment for programs."""
    return {"step": moment.step, "kind": moment.kind, "made_at": when(moment.made_at), "due_at": when(moment.due_at),
            "signal": None if moment.signal is None else str(moment.signal),
            "value": None if moment.value is None else json.loads(moment.value), "ended_at": when(moment.ended_at)}  # fmt: skip


def signal_json(signal: SignalRow) -> dict[str, Any]:
    """A signal for programs."""
    return {"id": str(signal.id), "name": signal.name, "key": signal.key, "sent_at": when(signal.sent_at),
            "payload": json.loads(signal.payload)}  # fmt: skip


def entry_json(entry: Entry) -> dict[str, Any]:
    """An act for programs."""
    return {"number": entry.number, "at": when(entry.at), "who": entry.who, "act": entry.act,
            "because": entry.because, "detail": entry.body}  # fmt: skip


def story_json(story: Story) -> dict[str, Any]:
    """One saga with everything, for programs."""
    return {
        **saga_json(story.saga),
        "input": json.loads(story.input),
        "output": None if story.output is None else json.loads(story.output),
        "plan": None if story.plan is None else list(story.plan),
        "effects": [effect_json(e) for e in story.effects],
        "evidence": [evidence_json(e) for e in story.evidence],
        "moments": [moment_json(m) for m in story.moments],
        "signals": [signal_json(s) for s in story.signals],
        "audit": [entry_json(e) for e in story.audit],
    }


def finding_json(finding: Finding) -> dict[str, Any]:
    """A finding for programs."""
    return {"needs_person": finding.needs_person, "kind": finding.kind, "cause": finding.cause,
            "sagas": finding.count, "oldest_seconds": round(finding.oldest.total_seconds(), 3), "next": finding.next,
            "next_in_seconds": finding.next_in, "command": finding.command, "example": finding.example}  # fmt: skip


def worker_json(worker: WorkerLine) -> dict[str, Any]:
    """A worker for programs."""
    return {"id": str(worker.id), "host": worker.host, "pid": worker.pid, "serves": list(worker.serves),
            "state": worker.state, "alive": worker.alive, "started_at": when(worker.started_at),
            "silent_seconds": round(worker.silent_for.total_seconds(), 3), "lanes": worker.lanes,
            "sagas": worker.sagas}  # fmt: skip


def answer_json(answer: ProbeAnswer) -> dict[str, Any]:
    """A service's answer for programs."""
    return {"step": answer.step, "direction": answer.direction, "answer": answer.answer, "phase": answer.phase,
            "result": answer.result, "reason": answer.reason}  # fmt: skip


def preview_json(preview: Preview) -> dict[str, Any]:
    """What an act would do, for programs."""
    plan = preview.plan
    shown = None if plan is None else {"settle": plan.settle, "undo": plan.undo, "certain": plan.certain}
    return {"id": str(preview.saga.id), "key": preview.saga.key, "would": preview.sentence,
            "refused": preview.refused, "plan": shown}  # fmt: skip

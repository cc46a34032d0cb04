"""`saga probe` and `saga resolve`: take an effect out of doubt.

Rules that hold here (S37): probing changes nothing but the evidence; the service is asked before a person's word is
taken; where both disagree, only --yes states it all the same.
"""

from __future__ import annotations

from typing import Annotated

import typer

from saga.cli.acts import confirm
from saga.cli.desk import (
    BecauseOption,
    DryRunOption,
    SagaArgument,
    StepArgument,
    TimeoutOption,
    WhoOption,
    YesOption,
    at_desk,
    duration,
    require_reason,
    typed_or_read,
)
from saga.cli.exits import Usage
from saga.cli.output import Form, FormOption, answer_json, emit_one, preview_json
from saga.cli.target import AppOption, DatabaseOption, SchemaOption, say
from saga.operator import Operator, Preview, ProbeAnswer, Resolution
from saga.operator.resolving import UNSAID, parse_result

MEANING = {
    "landed": "it landed",
    "refused": "it was refused",
    "not_found": "it knows nothing of the key",
    "pending": "it is still at it",
    "fenced": "the key will never land",
    "no_answer": "it gave no answer",
}


def add_to(app: typer.Typer) -> None:
    """The commands."""
    app.command("probe")(probe)
    app.command("resolve")(resolve)


def probe(
    saga: SagaArgument,
    step: StepArgument,
    *,
    timeout: TimeoutOption = "15s",
    who: WhoOption = None,
    url: DatabaseOption = None,
    schema: SchemaOption = "saga",
    form: FormOption = Form.TABLE,
) -> None:
    """Have a worker ask the service now; records evidence, and changes nothing else."""
    within = duration("--timeout", timeout)
    assert within is not None, "it has a default"
    answer = at_desk(url, schema, None, lambda desk: desk.probe(saga, step, within), who=who)
    emit_one(form, answer_json(answer), said_of(answer))


def said_of(answer: ProbeAnswer) -> str:
    """What a service said, in a sentence."""
    early = (
        ", which proves nothing: a request may still land"
        if answer.answer == "not_found" and answer.phase == "early"
        else ""
    )
    more = f" ({answer.reason})" if answer.reason else ""
    return f"{answer.step}: {MEANING.get(answer.answer, answer.answer)}{early}{more}"


def resolve(
    saga: SagaArgument,
    step: StepArgument,
    *,
    because: BecauseOption,
    landed: Annotated[bool, typer.Option("--landed", help="State that it landed.")] = False,
    never: Annotated[
        bool, typer.Option("--never", help="State that it never landed, and never will.")
    ] = False,
    result: Annotated[
        str | None,
        typer.Option("--result", metavar="JSON", help="With --landed: what it gave; @FILE reads a file."),
    ] = None,
    no_probe: Annotated[bool, typer.Option("--no-probe", help="Do not ask the service first.")] = False,
    timeout: TimeoutOption = "15s",
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    who: WhoOption = None,
    app: AppOption = None,
    url: DatabaseOption = None,
    schema: SchemaOption = "saga",
    form: FormOption = Form.TABLE,
) -> None:
    """State what became of an effect in doubt; the engine decides what follows."""
    if landed == never:
        raise Usage("state one: --landed or --never")
    if result is not None and never:
        raise Usage("--result goes with --landed: what never landed gave nothing")
    require_reason(because)
    value = UNSAID if result is None else parse_result(typed_or_read(result))
    within = duration("--timeout", timeout)
    assert within is not None, "it has a default"

    async def go(desk: Operator) -> Preview | Resolution:
        preview = await desk.preview_statement(saga, step, landed=landed)
        if dry_run:
            return preview
        if not yes:
            say(f"  {preview.sentence}")
            confirm("state that?")
        return await desk.resolve(
            saga, step, landed=landed, because=because, result=value, no_probe=no_probe, force=yes, timeout=within
        )  # fmt: skip

    _emit(at_desk(url, schema, app, go, who=who), form)


def _emit(outcome: Preview | Resolution, form: Form) -> None:
    if isinstance(outcome, Preview):
        emit_one(form, preview_json(outcome), outcome.refused or outcome.sentence)
        return
    answer, acted = outcome.answer, outcome.acted
    record = {
        "step": outcome.step,
        "direction": outcome.direction,
        "stated": acted is not None,
        "audit": None if acted is None else acted.number,
        "status": None if acted is None else acted.status,
        "service": None if answer is None else answer_json(answer),
    }
    said = "was not asked" if answer is None else f"says {answer.answer.replace('_', ' ')}"
    stated = (
        "stated; the engine goes on" if acted else "settled by the service's own answer; nothing was stated"
    )
    emit_one(form, record, f"{outcome.step}: the service {said}; {stated}")

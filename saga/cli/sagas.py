"""`saga start, list, stuck, show, why, wait`: begin one, and look.

Rule: looking changes nothing; what needs a person comes first.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from saga.cli.desk import (
    SagaArgument,
    TagOption,
    at_desk,
    duration,
    require_app,
    tags_of,
    time,
    typed_or_read,
    who_acts,
    with_engine,
)
from saga.cli.exits import Exit, Usage
from saga.cli.output import (
    Form,
    FormOption,
    emit,
    emit_one,
    finding_json,
    saga_json,
    saga_rows,
    state,
    story_json,
    when,
    worker_json,
)
from saga.cli.target import AppOption, DatabaseOption, SchemaOption, say
from saga.cli.timeline import timeline
from saga.core.durations import show as shown
from saga.core.model import ParkCause, SagaStatus, View
from saga.engine import Engine
from saga.operator import Operator, Query, SagaLine, Story, Stuck, Why
from saga.store.schema import SCHEMA_REVISION


class GroupBy(StrEnum):
    """What to count by."""

    ERROR = "error"
    STEP = "step"
    NAME = "name"
    SERVICE = "service"


MOST = 100_000
"""More sagas than that are not looked at, and not acted on, at once."""

StatusOption = Annotated[
    list[SagaStatus] | None, typer.Option("--status", help="Only these; may be repeated.")
]
NameOption = Annotated[str | None, typer.Option("--name", metavar="SAGA", help="Only sagas of this name.")]
CauseOption = Annotated[
    ParkCause | None, typer.Option("--cause", help="Only sagas that are parked for this cause.")
]
StepOption = Annotated[str | None, typer.Option("--step", help="Only sagas that stand at this step.")]


def add_to(app: typer.Typer) -> None:
    """The commands."""
    app.command("start")(start)
    app.command("signal")(signal)
    app.command("list")(list_sagas)
    app.command("stuck")(stuck)
    app.command("show")(show)
    app.command("why")(why)
    app.command("wait")(wait)


def start(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The saga's name.")],
    input: Annotated[
        str, typer.Argument(metavar="JSON", help="Its input; @FILE reads a file, - standard input.")
    ],
    *,
    key: Annotated[
        str, typer.Option("--key", metavar="KEY", help="The business key, unique for each saga name.")
    ],
    after: Annotated[
        str | None, typer.Option("--after", metavar="DURATION", help="Begin so long from now, such as 2h.")
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="Begin then: 2026-12-24T18:00:00Z, say.")
    ] = None,
    tag: TagOption = None,
    version: Annotated[
        int | None, typer.Option("--version", metavar="N", help="Of the definition; else its highest.")
    ] = None,
    app: AppOption = None,
    url: DatabaseOption = None,
    form: FormOption = Form.TABLE,
) -> None:
    """Start a saga; the same key with the same input is the same saga."""
    require_app(app)
    text = typed_or_read(input)
    span, moment, tags = duration("--after", after), time("--at", at), tags_of(tag)

    async def go(engine: Engine) -> dict[str, Any]:
        definition = engine.definition(name, version)
        value = definition.read_input(text)
        handle = await engine.start(definition, value, key=key, after=span, at=moment, tags=tags)
        state = await engine.read(handle.id, name, key)  # the key may have been started under another version
        under = definition.version if state is None else state.version
        return {"id": str(handle.id), "name": name, "version": under, "key": key}

    record = with_engine(url, "saga", app, go)
    emit_one(form, record, record["id"])


def signal(
    saga: SagaArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The signal's name.")],
    payload: Annotated[
        str, typer.Argument(metavar="JSON", help="What it says; @FILE reads a file, - standard input.")
    ],
    *,
    key: Annotated[
        str | None, typer.Option("--key", metavar="KEY", help="Under one key it is sent once.")
    ] = None,
    app: AppOption = None,
    url: DatabaseOption = None,
    form: FormOption = Form.TABLE,
) -> None:
    """Send a saga a signal that it waits for, or will wait for."""
    require_app(app)
    text = typed_or_read(payload)

    async def go(engine: Engine) -> dict[str, Any]:
        line = await engine.operator(who_acts(None)).find(saga)
        definition = engine.definition(line.name, line.version)
        if name not in definition.signals:
            known = ", ".join(sorted(definition.signals)) or "none"
            raise Usage(f"saga {line.name} waits for no signal {name}; it waits for {known}")
        wanted = definition.signals[name]
        await engine.send(definition, wanted, wanted.read(text), to=line.key, key=key)
        return {"id": str(line.id), "name": line.name, "key": line.key, "signal": name}

    record = with_engine(url, "saga", app, go)
    emit_one(form, record, f"{name} sent to {record['key']}")


def list_sagas(
    *,
    status: StatusOption = None,
    name: NameOption = None,
    step: StepOption = None,
    cause: CauseOption = None,
    service: Annotated[
        str | None, typer.Option("--service", help="Only sagas at a step of this service.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DURATION", help="Started within, such as 2h.")
    ] = None,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="DURATION", help="Unchanged for so long, such as 10m."),
    ] = None,
    tag: TagOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST, help="So many at the most.")] = 50,
    every: Annotated[bool, typer.Option("--all", help="Those that have ended, too.")] = False,
    group_by: Annotated[GroupBy | None, typer.Option("--group-by", help="Count instead of listing.")] = None,
    url: DatabaseOption = None,
    schema: SchemaOption = "saga",
    form: FormOption = Form.TABLE,
) -> None:
    """List sagas, newest first; those that have not ended, unless --all or --status says otherwise."""
    statuses = tuple(status) if status else None
    ended = statuses is not None and any(one in _ENDED for one in statuses)
    query = Query(
        statuses, name, step, service, duration("--since", since), duration("--older-than", older_than),
        every=every or ended, limit=limit, cause=cause, tags=tags_of(tag),
    )  # fmt: skip
    if group_by is not None:
        _print_groups(query, group_by, (url, schema), form)
        return

    async def go(desk: Operator) -> list[SagaLine]:
        return list(await desk.list(query))

    lines = at_desk(url, schema, None, go)
    emit(form, "sagas", [saga_json(one) for one in lines], saga_rows(lines, wide=form is Form.WIDE))
    if len(lines) == limit:
        say(f"there may be more: --limit {limit * 2}")


_ENDED = frozenset({SagaStatus.COMPLETED, SagaStatus.COMPENSATED, SagaStatus.ABANDONED})


def _print_groups(query: Query, by: GroupBy, where: tuple[str | None, str], form: Form) -> None:
    groups = at_desk(*where, None, lambda desk: desk.group(query, by))
    rows = [{by.value: g.what, "sagas": g.count, "oldest": when(g.oldest)} for g in groups]
    table = [[by.value.upper(), "SAGAS", "OLDEST"]]
    table += [[g.what, str(g.count), shown(g.now - g.oldest)] for g in groups]
    emit(form, "groups", rows, table)


def stuck(
    *,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with 4 when anything is listed.")
    ] = False,
    url: DatabaseOption = None,
    schema: SchemaOption = "saga",
    form: FormOption = Form.TABLE,
) -> int:
    """What needs a person, and what moves by itself but slowly, grouped by cause."""
    found = at_desk(url, schema, None, lambda desk: desk.stuck())
    rows = [finding_json(finding) for finding in found.findings]
    if form is Form.JSON:
        workers = [worker_json(worker) for worker in found.workers]
        record = {
            "needs_person": found.needs_person,
            "moving": found.moving,
            "findings": rows,
            "workers": workers,
        }
        emit_one(form, record, "")
    else:
        say(_crew(found))
        if found.findings or form is Form.JSONL:
            emit(form, "findings", rows, _table(found))
        person = f"{found.needs_person} need{'s' if found.needs_person == 1 else ''} a person"
        say(f"! {person}   ~ {found.moving} will move by {'itself' if found.moving == 1 else 'themselves'}")
    return Exit.FINDINGS if exit_code and found.findings else Exit.OK


def _crew(found: Stuck) -> str:
    alive = [w for w in found.workers if w.alive]
    beat = f", oldest beat {shown(max(w.silent_for for w in alive))}" if alive else ""
    return (
        f"schema revision {SCHEMA_REVISION}   {len(alive)} worker{'' if len(alive) == 1 else 's'} alive{beat}"
    )


def _table(found: Stuck) -> list[list[str]]:
    head = ["", "CAUSE", "SAGAS", "OLDEST", "NEXT BY ITSELF", "YOU CAN"]
    rows = [
        ["!" if f.needs_person else "~", f.cause, str(f.count), shown(f.oldest), f.next, f.command]
        for f in found.findings
    ]
    return [head, *rows]


def show(
    saga: SagaArgument,
    *,
    attempts: Annotated[bool, typer.Option("--attempts", help="Every attempt and probe.")] = False,
    with_input: Annotated[bool, typer.Option("--input", help="The input, too.")] = False,
    url: DatabaseOption = None,
    schema: SchemaOption = "saga",
    form: FormOption = Form.TABLE,
) -> None:
    """One saga as a timeline: attempts, evidence, probes, acts, and what comes next."""

    async def go(desk: Operator) -> tuple[Story, Why]:
        return await desk.show(saga), await desk.why(saga)

    story, reason = at_desk(url, schema, None, go)
    text = timeline(story, reason.sentence, attempts=attempts or form is Form.WIDE, with_input=with_input)
    emit_one(form, {**story_json(story), "why": reason.sentence}, text)


def why(
    saga: SagaArgument,
    *,
    url: DatabaseOption = None,
    schema: SchemaOption = "saga",
    form: FormOption = Form.TABLE,
) -> None:
    """One sentence: why it does not move, what would settle it, and what happens next, when."""
    reason = at_desk(url, schema, None, lambda desk: desk.why(saga))
    line = reason.saga
    record = {"id": str(line.id), "key": line.key, "status": line.status, "needs_person": line.needs_person}
    emit_one(form, {**record, "why": reason.sentence}, reason.sentence)


def wait(
    saga: SagaArgument,
    *,
    timeout: Annotated[
        str | None, typer.Option("--timeout", metavar="DURATION", help="Not longer than this.")
    ] = None,
    url: DatabaseOption = None,
    schema: SchemaOption = "saga",
    form: FormOption = Form.TABLE,
) -> int:
    """Wait until a saga has ended: 0 confirmed, 6 ended otherwise, 7 still running."""
    within = duration("--timeout", timeout)
    line = at_desk(url, schema, None, lambda desk: desk.wait(saga, within))
    emit_one(
        form,
        saga_json(line),
        f"{line.key}   {state(line)}   the customer sees: {str(line.view).replace('_', ' ')}",
    )
    return Exit.OK if line.view is View.CONFIRMED else Exit.NOT_CONFIRMED

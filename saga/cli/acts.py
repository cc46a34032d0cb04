"""`saga retry, compensate, cancel, abandon`: acts on one saga, on several, or on those that a query finds.

Rules that hold here: what will happen is said first, then asked, then done; without a terminal --yes must be said;
who confirmed acts on what they saw, and is refused when it moved meanwhile; of a query the safe ones are done, and the
refused ones are listed.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from saga.cli.desk import (
    BecauseOption,
    DryRunOption,
    TagOption,
    WhoOption,
    YesOption,
    at_desk,
    require_reason,
    tags_of,
)
from saga.cli.exits import Exit, Usage, code_of
from saga.cli.output import Form, FormOption, emit, preview_json
from saga.cli.sagas import MOST, CauseOption, NameOption, StatusOption, StepOption
from saga.cli.target import AppOption, DatabaseOption, SchemaOption, say
from saga.core.model import ParkCause, SagaStatus
from saga.errors import SagaError, Unsafe
from saga.operator import Acted, Operator, Plan, Preview, Query

IdsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="Ids or business keys; or none, and a query.")
]
IdsOnlyArgument = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids or business keys.")]
LimitOption = Annotated[
    int, typer.Option("--limit", min=1, max=MOST, help="Of a query: so many sagas at the most.")
]

RETRIED = (SagaStatus.PARKED, SagaStatus.ASLEEP)
CANCELLED = (SagaStatus.READY, SagaStatus.ASLEEP, SagaStatus.RUNNING, SagaStatus.PARKED)


def add_to(app: typer.Typer) -> None:
    """The commands."""
    app.command("retry")(retry)
    app.command("compensate")(compensate)
    app.command("cancel")(cancel)
    app.command("abandon")(abandon)


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for: the act, on which sagas, and how."""

    act: str
    ids: Sequence[str]
    query: Query | None
    because: str
    yes: bool
    dry_run: bool
    form: Form


@dataclass(slots=True)
class Outcome:
    """What came of it, one row a saga; `code`: the worst that happened."""

    rows: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    code: int = Exit.OK


def retry(
    ids: IdsArgument = None,
    *,
    because: BecauseOption,
    status: StatusOption = None,
    name: NameOption = None,
    step: StepOption = None,
    cause: CauseOption = None,
    tag: TagOption = None,
    limit: LimitOption = 100,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    who: WhoOption = None,
    app: AppOption = None,
    url: DatabaseOption = None,
    schema: SchemaOption = "saga",
    form: FormOption = Form.TABLE,
) -> int:
    """Wake sagas that are parked or asleep, and give their doubts new budgets; a guess is refused."""
    query = _query(ids, status, name, step, cause, tag=tag, limit=limit, default=RETRIED)
    return _run(Order("retry", ids or (), query, because, yes, dry_run, form), who, (url, schema, app))


def cancel(
    ids: IdsArgument = None,
    *,
    because: BecauseOption,
    status: StatusOption = None,
    name: NameOption = None,
    step: StepOption = None,
    cause: CauseOption = None,
    tag: TagOption = None,
    limit: LimitOption = 100,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    who: WhoOption = None,
    app: AppOption = None,
    url: DatabaseOption = None,
    schema: SchemaOption = "saga",
    form: FormOption = Form.TABLE,
) -> int:
    """Request that sagas turn backward when what is in flight is settled."""
    query = _query(ids, status, name, step, cause, tag=tag, limit=limit, default=CANCELLED)
    return _run(Order("cancel", ids or (), query, because, yes, dry_run, form), who, (url, schema, app))


def compensate(
    ids: IdsOnlyArgument,
    *,
    because: BecauseOption,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    who: WhoOption = None,
    app: AppOption = None,
    url: DatabaseOption = None,
    schema: SchemaOption = "saga",
    form: FormOption = Form.TABLE,
) -> int:
    """Request that parked sagas are undone; shows the plan."""
    return _run(Order("compensate", ids, None, because, yes, dry_run, form), who, (url, schema, app))


def abandon(
    ids: IdsOnlyArgument,
    *,
    because: BecauseOption,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    who: WhoOption = None,
    url: DatabaseOption = None,
    schema: SchemaOption = "saga",
    form: FormOption = Form.TABLE,
) -> int:
    """End sagas without claiming that anything was undone."""
    return _run(Order("abandon", ids, None, because, yes, dry_run, form), who, (url, schema, None))


def _query(
    ids: Sequence[str] | None,
    status: Sequence[SagaStatus] | None,
    name: str | None,
    step: str | None,
    cause: ParkCause | None,
    *,
    tag: Sequence[str] | None,
    limit: int,
    default: tuple[SagaStatus, ...],
) -> Query | None:
    tags = tags_of(tag)
    filters = bool(status or tags) or any(one is not None for one in (name, step, cause))
    if ids and filters:
        raise Usage("give ids or a query, not both")
    if not ids and not filters:
        raise Usage("which sagas? give ids, or a query: --status, --name, --step, --cause, --tag")
    return None if ids else Query(tuple(status or default), name, step, limit=limit, cause=cause, tags=tags)


def _run(order: Order, who: str | None, where: tuple[str | None, str, str | None]) -> int:
    require_reason(order.because)

    async def go(desk: Operator) -> Outcome:
        previews = await _look(desk, order)
        if order.dry_run:
            return Outcome([preview_json(p) for p in previews])
        safe = [p for p in previews if p.refused is None]
        asked = bool(safe) and not order.yes
        if asked:
            confirm(f"{order.act} {len(safe)} saga{'s' if len(safe) > 1 else ''}?")
        return await _do(desk, order, previews, asked=asked)

    outcome = at_desk(*where, go, who=who)
    _emit(order, outcome)
    return outcome.code


async def _look(desk: Operator, order: Order) -> list[Preview]:
    """What would happen, said on stderr."""
    ids = list(order.ids)
    if order.query is not None:
        total = sum(g.count for g in await desk.group(order.query, "name"))
        found = await desk.list(order.query)
        say(
            f"{total} sagas fit"
            + (f", the newest {len(found)} of them are taken (--limit)" if total > len(found) else "")
        )
        unbegun = sum(line.unbegun for line in found) if order.act == "retry" else 0
        if unbegun:
            say(f"{unbegun} of them have not begun, and are left alone: give an id to begin that one now")
        ids = [str(line.id) for line in found if not (unbegun and line.unbegun)]
    previews = [await desk.preview(order.act, one) for one in ids]
    for preview in previews:
        if preview.refused is None:
            say(f"  {preview.sentence}")
            for line in _plan_lines(preview.plan):
                say(f"      {line}")
    refused = [p for p in previews if p.refused is not None]
    if len(previews) > 1 and refused:
        say(f"{len(previews) - len(refused)} safe, {len(refused)} refused")
    return previews


def _plan_lines(plan: Plan | None) -> list[str]:
    if plan is None:
        return []
    first = [f"first settled: {', '.join(plan.settle)}"] if plan.settle else []
    sure = "" if plan.certain else " (those that have a compensation; --app MODULE:ENGINE tells)"
    return [*first, f"then undone: {', then '.join(plan.undo) or 'nothing'}{sure}"]


def confirm(question: str) -> None:
    """Ask the person at the terminal.

    Raises:
        Unsafe: there is no terminal, or they say no.
    """
    if not sys.stdin.isatty():
        raise Unsafe("this is no terminal, so nobody can be asked: look with --dry-run, then say --yes")
    if not typer.confirm(question, err=True):
        raise Unsafe("nothing was done")


async def _do(desk: Operator, order: Order, previews: Sequence[Preview], *, asked: bool) -> Outcome:
    verbs: dict[str, Callable[..., Awaitable[Acted]]] = {
        "retry": desk.retry, "cancel": desk.cancel, "compensate": desk.compensate, "abandon": desk.abandon,
    }  # fmt: skip
    outcome = Outcome()
    for preview in previews:
        row: dict[str, Any] = {"id": str(preview.saga.id), "key": preview.saga.key, "act": order.act}
        try:
            if preview.refused is not None:
                raise Unsafe(preview.refused)
            revision = preview.saga.revision if asked else None
            acted = await verbs[order.act](str(preview.saga.id), because=order.because, revision=revision)
            answer = "requested" if order.act in {"cancel", "compensate"} else "done"
            row |= {"answer": answer, "status": acted.status, "audit": acted.number}
        except SagaError as error:
            if len(previews) == 1 and order.query is None:
                raise
            row |= {"answer": "refused", "refused": str(error)}
            outcome.code = max(outcome.code, code_of(error))
            say(f"saga: {error}")
        outcome.rows.append(row)
    return outcome


def _emit(order: Order, outcome: Outcome) -> None:
    if order.dry_run:
        table = [["KEY", "WOULD", "REFUSED"]]
        table += [[r["key"], r["would"], r["refused"] or "no"] for r in outcome.rows]
        emit(order.form, "previews", outcome.rows, table)
        return
    table = [["KEY", "ACT", "ANSWER", "STATE"]]
    table += [[r["key"], r["act"], r["answer"], str(r.get("status", ""))] for r in outcome.rows]
    emit(order.form, "acts", outcome.rows, table)

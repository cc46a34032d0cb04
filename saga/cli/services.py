"""`saga service list, hold, unhold, open, close`: how services stand, and what an operator says of one.

Rules that hold here: as for every act, what will happen is said first, then asked, then done; --because is audited.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer

from saga.cli.acts import confirm
from saga.cli.desk import BecauseOption, DryRunOption, WhoOption, YesOption, at_desk, require_reason
from saga.cli.exits import Exit
from saga.cli.output import Form, FormOption, emit, emit_one, when
from saga.cli.target import AppOption, DatabaseOption, SchemaOption, say
from saga.errors import Unsafe
from saga.operator import Operator, ServiceActed, ServiceLine

service = typer.Typer(
    help="How services stand, and what you say of them.", no_args_is_help=True, rich_markup_mode=None
)
ACTS = {
    "hold": "Call it no more until it is let go; sagas that need it wait, and nothing is burnt.",
    "unhold": "End a hold: a canary goes first, then what waits follows in waves.",
    "open": "Say that it is down: it is let alone for its cool-down, then canaries find out.",
    "close": "Say that it is back: it is called at once, and what waits follows in waves.",
}
"""What an operator says of a service, and what comes of it."""
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The service, as the code names it.")]


def add_to(app: typer.Typer) -> None:
    """The commands of `service`."""
    app.add_typer(service, name="service")


@service.command("list")
def list_(
    *,
    app: AppOption = None,
    url: DatabaseOption = None,
    schema: SchemaOption = "saga",
    form: FormOption = Form.TABLE,
) -> None:
    """Every service that was ever opened or held; with --app those of the code, too."""

    async def go(desk: Operator) -> list[ServiceLine]:
        return list(await desk.services.list())

    lines = at_desk(url, schema, app, go)
    table = [["SERVICE", "STATE", "WAITING", "STANDS"]]
    table += [[line.name, _state(line), str(line.waiting), line.sentence] for line in lines]
    emit(form, "services", [_json(line) for line in lines], table)


def _command(act: str) -> Callable[..., int]:
    def command(
        name: NameArgument,
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
        return _act(act, name, because, (yes, dry_run, form), (who, url, schema, app))

    return command


for _name, _help in ACTS.items():
    service.command(_name, help=_help)(_command(_name))


def _act(
    act: str,
    name: str,
    because: str,
    how: tuple[bool, bool, Form],
    where: tuple[str | None, str | None, str, str | None],
) -> int:
    (yes, dry_run, form), (who, url, schema, app) = how, where
    require_reason(because)

    async def go(desk: Operator) -> tuple[dict[str, Any], str]:
        preview = await desk.services.preview(act, name)
        if dry_run:
            record = {"service": name, "would": preview.sentence, "refused": preview.refused}
            return record, f"{preview.sentence}   refused: {preview.refused or 'no'}"
        if preview.refused is not None:
            raise Unsafe(preview.refused)
        say(f"  {preview.sentence}")
        if not yes:
            confirm(f"{act} {name}?")
        verbs: dict[str, Callable[..., Awaitable[ServiceActed]]] = {
            "hold": desk.services.hold, "unhold": desk.services.unhold, "open": desk.services.open,
            "close": desk.services.close,
        }  # fmt: skip
        acted = await verbs[act](name, because=because)
        return {**_json(acted.line), "audit": acted.number}, acted.line.sentence

    record, text = at_desk(url, schema, app, go, who=who)
    emit_one(form, record, text)
    return Exit.OK


def _state(line: ServiceLine) -> str:
    """A word and a glyph."""
    if line.held_by is not None:
        return "! held"
    return {"closed": "✓ closed", "open": "× open", "half_open": "~ half-open"}[line.state]


def _json(line: ServiceLine) -> dict[str, Any]:
    return {
        "service": line.name, "state": line.state, "since": when(line.since), "reason": line.reason,
        "next_at": when(line.next_at), "held_by": line.held_by, "held_because": line.held_because,
        "held_at": when(line.held_at), "waiting": line.waiting, "sentence": line.sentence,
    }  # fmt: skip

"""`saga check`: an app's definitions, and whether its code can go on with every saga that has not ended. For use before a deploy.

Rules that hold here: stdout is data, so what an app's own code prints goes to stderr; nothing is called and nothing is
written; a finding ends with 4, so that `saga check APP --against-db && deploy` stops.
"""

from __future__ import annotations

import contextlib
import json
import sys
import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from saga.cli.desk import with_engine
from saga.cli.exits import Exit
from saga.cli.output import VERSION, WIDEST, Form, FormOption, emit_one
from saga.cli.target import DatabaseOption, load, say
from saga.engine import Engine
from saga.errors import DefinitionError, DefinitionWarning

if TYPE_CHECKING:
    from saga_worker.checking import Checked

MOST = 100_000


def add_to(app: typer.Typer) -> None:
    """The command."""
    app.command("check")(check)


@dataclass(slots=True)
class Read:
    """An app's definitions: what is wrong with them, or the engine that they make."""

    problems: list[str] = field(default_factory=list[str])
    warnings: list[str] = field(default_factory=list[str])
    engine: Engine | None = None


@dataclass(slots=True)
class Replayed:
    """How many open sagas were replayed, how many do not fit, by definition and cause; and the first of those."""

    limit: int
    sagas: int = 0
    counts: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    listed: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    @property
    def misfits(self) -> int:
        """How many do not fit."""
        return sum(self.counts.values())

    def take(self, page: list[Checked]) -> None:
        """Count a page, and keep what is to be listed."""
        self.sagas += len(page)
        for one in page:
            if one.misfit is None:
                continue
            self.counts[f"{one.saga.name} v{one.saga.version}", one.misfit.kind.value] += 1
            if len(self.listed) < self.limit:
                self.listed.append(_misfit_json(one))


def check(
    app: Annotated[
        str,
        typer.Argument(metavar="APP", envvar="SAGA_APP", help="MODULE:ENGINE, for example shop.app:engine."),
    ],
    *,
    against_db: Annotated[
        bool, typer.Option("--against-db", help="Replay every saga that has not ended, and call nothing.")
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=MOST, help="List so many sagas; all are counted.")
    ] = 100,
    url: DatabaseOption = None,
    form: FormOption = Form.TABLE,
) -> int:
    """Check an app's definitions; with --against-db also that its code can go on with every saga that has not ended."""
    with contextlib.redirect_stdout(sys.stderr):
        read = _read(app)
        replayed = _replay(url, app, limit) if against_db and read.engine is not None else None
    if form is Form.JSONL:
        for row in [] if replayed is None else replayed.listed:
            print(json.dumps({"v": VERSION, **row}, ensure_ascii=False))
    else:
        emit_one(form, _json(app, read, replayed), "\n".join(_lines(read, replayed, wide=form is Form.WIDE)))
    _say(app, read, replayed)
    found = bool(read.problems) or (replayed is not None and replayed.misfits > 0)
    return Exit.FINDINGS if found else Exit.OK


def _read(app: str) -> Read:
    """Build the engine; what its definitions complain of is kept, what anything else warns of is shown as ever."""
    read = Read()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", DefinitionWarning)
        try:
            read.engine = load(app)
        except DefinitionError as error:
            read.problems = error.problems
    for one in seen:
        if issubclass(one.category, DefinitionWarning):
            read.warnings.append(str(one.message))
        else:
            warnings.showwarning(one.message, one.category, one.filename, one.lineno)
    return read


def _replay(url: str | None, app: str, limit: int) -> Replayed:
    from saga_worker import checking

    found = Replayed(limit)

    async def go(engine: Engine) -> None:
        async for page in checking.check(engine):
            found.take(page)

    with_engine(url, "saga", app, go)
    return found


def _misfit_json(one: Checked) -> dict[str, Any]:
    saga, misfit = one.saga, one.misfit
    assert misfit is not None, "only those are listed"
    return {"id": str(saga.id), "name": saga.name, "version": saga.version, "key": saga.key, "status": saga.status,
            "direction": saga.direction, "kind": misfit.kind, "reason": misfit.reason, "recorded": misfit.recorded,
            "called": misfit.called}  # fmt: skip


def _json(app: str, read: Read, replayed: Replayed | None) -> dict[str, Any]:
    body: dict[str, Any] = {"app": app, "problems": read.problems, "warnings": read.warnings}
    if read.engine is not None:
        registry = read.engine.registry
        body |= {
            "sagas": _names(read.engine),
            "steps": len(registry.steps()),
            "services": len(registry.services()),
        }
    if replayed is not None:
        groups = [
            {"saga": saga, "kind": kind, "sagas": n} for (saga, kind), n in replayed.counts.most_common()
        ]
        body["against_db"] = {"replayed": replayed.sagas, "misfits": replayed.misfits, "groups": groups,
                              "listed": replayed.listed}  # fmt: skip
    return body


def _names(engine: Engine) -> list[str]:
    return [f"{name} v{version}" for name, version in sorted(engine.registry.sagas)]


def _lines(read: Read, replayed: Replayed | None, *, wide: bool) -> list[str]:
    """For people."""
    lines = [f"! {problem}" for problem in read.problems]
    lines += [f"~ {warning}" for warning in read.warnings]
    if read.engine is not None:
        registry = read.engine.registry
        names = ", ".join(_names(read.engine)) or "no saga"
        lines.append(
            f"definitions ok: {names}; steps: {len(registry.steps())}, services: {len(registry.services())}"
        )
    for row in [] if replayed is None else replayed.listed:
        word = str(row["kind"]).replace("_", " ")
        lines.append(
            f"! {row['key']}   {row['name']} v{row['version']}   {row['status']}   {word}: {row['reason']}"
        )
        if row["recorded"] is not None:
            lines += [
                f"    recorded  {_shown(row['recorded'], wide)}",
                f"    called    {_shown(row['called'], wide)}",
            ]
    return lines


def _shown(value: Any, wide: bool) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if wide or len(text) <= 2 * WIDEST else text[: 2 * WIDEST - 1] + "…"


def _say(app: str, read: Read, replayed: Replayed | None) -> None:
    if read.problems:
        say(f"{app} cannot be built: problems: {len(read.problems)}")
    if replayed is None:
        return
    replay = f"{replayed.sagas} open saga{'' if replayed.sagas == 1 else 's'} replayed"
    say(f"{replay}, {replayed.misfits} cannot go on under this code")
    for (saga, kind), count in replayed.counts.most_common():
        say(f"  {saga}: {count} {kind.replace('_', ' ')}")
    if replayed.misfits > len(replayed.listed):
        say(f"the first {len(replayed.listed)} are listed: --limit {replayed.misfits} lists all")

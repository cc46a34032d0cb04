"""`saga db`: bring the schema to this release, check what is there, and purge what has ended long ago."""

from __future__ import annotations

from dataclasses import asdict

import typer

from saga import database
from saga.cli.desk import with_engine
from saga.cli.exits import Exit, Usage
from saga.cli.output import Form, FormOption, emit_one
from saga.cli.retention import purge
from saga.cli.target import AppOption, DatabaseOption, SchemaOption, name_database, say
from saga.engine import Engine
from saga.store import health
from saga.store.schema import SCHEMA_REVISION
from saga.verify import verify as verified

db = typer.Typer(help="The schema in the database.", no_args_is_help=True, rich_markup_mode=None)


def add_to(app: typer.Typer) -> None:
    """The commands of `db`."""
    db.command("purge")(purge)
    app.add_typer(db, name="db")


@db.command()
def upgrade(
    *,
    url: DatabaseOption = None,
    schema: SchemaOption = "saga",
    sql: bool = typer.Option(False, "--sql", help="Print the SQL for a DBA, and change nothing."),
) -> None:
    """Bring the schema to this release; an embedded database is made if it is not there."""
    from saga.store import migrate  # here, because Alembic takes longer to load than other commands to run

    if sql:
        print(migrate.script(schema))
        return
    chosen = database.chosen(url)
    name_database(chosen, schema)
    before = migrate.upgrade(database.resolved(chosen, create=True), schema)
    if before == SCHEMA_REVISION:
        say(f'schema "{schema}" is at revision {SCHEMA_REVISION} already')
    else:
        say(f'schema "{schema}" is at revision {SCHEMA_REVISION} now (before: {before or "none"})')


@db.command()
def check(
    *,
    exit_code: bool = typer.Option(False, "--exit-code", help="End with 4 when there is a warning."),
    url: DatabaseOption = None,
    schema: SchemaOption = "saga",
    form: FormOption = Form.TABLE,
) -> int:
    """Check that the database answers, that its schema is this release's, and that it keeps what it is told."""

    async def go(engine: Engine) -> list[str]:
        async with engine.connection() as connection:
            return await health.warnings(connection)

    found = with_engine(url, schema, None, go)
    lines = [f"ok: schema revision {SCHEMA_REVISION}", *(f"! {warning}" for warning in found)]
    emit_one(form, {"schema": schema, "revision": SCHEMA_REVISION, "warnings": found}, "\n".join(lines))
    return Exit.FINDINGS if exit_code and found else Exit.OK


@db.command()
def verify(
    *,
    app: AppOption = None,
    exit_code: bool = typer.Option(False, "--exit-code", help="End with 4 when something differs."),
    url: DatabaseOption = None,
    schema: SchemaOption = "saga",
    form: FormOption = Form.TABLE,
) -> int:
    """Compute every effect's verdict again from its stored evidence, and compare (needs --app or SAGA_APP)."""
    if app is None:
        raise Usage("verdicts follow from what services promise: give --app MODULE:ENGINE, or set SAGA_APP")
    found = with_engine(url, schema, app, verified)
    lines = [f"{found.effects} effects verified, {len(found.differences)} differ"]
    if found.unknown:
        lines.append(f"! {found.unknown} sagas are of definitions that {app} does not have")
    lines += [
        f"! {one.key} ({one.saga_id}) {one.step} {one.direction}: stored {one.stored}, evidence says {one.computed}"
        for one in found.differences
    ]
    differences = [{**asdict(one), "saga_id": str(one.saga_id)} for one in found.differences]
    body = {"effects": found.effects, "unknown": found.unknown, "differences": differences}
    emit_one(form, body, "\n".join(lines))
    return Exit.FINDINGS if exit_code and found.differences else Exit.OK

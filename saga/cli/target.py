"""Which database and whose definitions a command works with; the options that say so.

Rules that hold here: the first line on stderr names the database, without its password; a database is created by
`db upgrade` and the demo only; an APP is imported from the working directory, as web servers do it.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from saga import database
from saga.cli.exits import Usage
from saga.engine import Engine
from saga.errors import SagaError

DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        help="postgresql://… or embedded:DIR; else $SAGA_DATABASE_URL, else ./.saga.",
    ),
]
SCHEMA_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


def plain_schema(name: str) -> str:
    """A schema's name that needs no quotes anywhere.

    Raises:
        Usage: it is none.
    """
    if SCHEMA_NAME.fullmatch(name) is None:
        raise Usage(f"--schema {name!r} is no plain name: write small letters, digits and underscores")
    return name


SchemaOption = Annotated[
    str, typer.Option("--schema", help="The engine's schema in the database.", callback=plain_schema)
]
AppOption = Annotated[
    str | None,
    typer.Option(
        "--app", metavar="MODULE:ENGINE", envvar="SAGA_APP", help="The Engine with the definitions."
    ),
]


def say(sentence: str) -> None:
    """Talk goes to stderr."""
    print(sentence, file=sys.stderr, flush=True)


def name_database(url: str, schema: str) -> None:
    """The first line of every command."""
    say(f"database {database.shown(url)}   schema {schema}")


def engine_for(url: str | None, schema: str, app: str | None = None) -> Engine:
    """The engine to work with: the app's where one is given, else one without definitions.

    Raises:
        NoDatabase: nobody said which database.
        Usage: the app cannot be had.
        SagaError: the database cannot be had.
    """
    if app is not None:
        engine = load(app)
        if url is not None:
            engine.use(url)
        name_database(url or engine.url, engine.schema)
        return engine
    chosen = database.chosen(url)
    name_database(chosen, schema)
    return Engine(chosen, sagas=[], schema=schema)


def load(app: str) -> Engine:
    """The `Engine` that `module:attribute` names.

    Raises:
        Usage: it is not there, or no Engine.
    """
    where, _, attribute = app.partition(":")
    if not where or not attribute:
        raise Usage(f"{app!r} names no engine: write MODULE:ENGINE, for example shop.app:engine")
    found: Any = _module(where, app)
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise Usage(f"module {where} has no {attribute!r}: {_engines_in(where)}")
        found = getattr(found, name)
    if not isinstance(found, Engine):
        raise Usage(f"{app} is a {type(found).__name__} and no Engine: {_engines_in(where)}")
    return found


def _module(where: str, app: str) -> Any:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(where)
    except ModuleNotFoundError as error:
        if error.name and (where == error.name or where.startswith(f"{error.name}.")):
            raise Usage(
                f"there is no module {error.name}: run the command where {app.partition(':')[0]} can be imported"
            ) from None
        raise Usage(f"importing {where} failed, there is no module {error.name}: install it") from error
    except SagaError:
        raise
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
        raise Usage(
            f"importing {where} failed with {type(error).__name__}: {reason} (--debug shows where)"
        ) from error


def _engines_in(where: str) -> str:
    names = sorted(name for name, value in vars(sys.modules[where]).items() if isinstance(value, Engine))
    if not names:
        return "it makes no Engine; write `engine = Engine(sagas=[…])` there"
    return "it has " + ", ".join(f"{where}:{name}" for name in names)

"""What the commands of an operator share: the desk itself, who sits at it, and what was typed.

Rule: whoever acts is named, by --as, $SAGA_USER or the login; what was typed is checked before a database is opened.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from saga.cli.exits import Usage
from saga.cli.target import engine_for
from saga.core.durations import parse
from saga.engine import Engine
from saga.operator import Operator

T = TypeVar("T")
USER = "SAGA_USER"

SagaArgument = Annotated[
    str, typer.Argument(metavar="ID", help="Its id, a beginning of it, or its business key.")
]
StepArgument = Annotated[
    str, typer.Argument(metavar="STEP", help="charge#1, charge, or the name of a compensation.")
]
WhoOption = Annotated[
    str | None, typer.Option("--as", metavar="NAME", help="Who acts; else $SAGA_USER, else the login name.")
]
BecauseOption = Annotated[str, typer.Option("--because", metavar="TEXT", help="Why; kept in the audit.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and do nothing.")]
TagOption = Annotated[
    list[str] | None, typer.Option("--tag", metavar="NAME=VALUE", help="Tagged so; may be repeated.")
]
TimeoutOption = Annotated[
    str, typer.Option("--timeout", metavar="DURATION", help="For the answer, such as 15s.")
]


def at_desk(
    url: str | None,
    schema: str,
    app: str | None,
    work: Callable[[Operator], Awaitable[T]],
    *,
    who: str | None = None,
) -> T:
    """Open the engine, see that its schema is ours, do the work, close."""

    async def go(engine: Engine) -> T:
        return await work(engine.operator(who_acts(who)))

    return with_engine(url, schema, app, go)


def with_engine(url: str | None, schema: str, app: str | None, work: Callable[[Engine], Awaitable[T]]) -> T:
    """The same for work on the engine itself."""
    engine = engine_for(url, schema, app)

    async def go() -> T:
        try:
            await engine.prepare()
            return await work(engine)
        finally:
            await engine.close()

    return asyncio.run(go())


def who_acts(said: str | None) -> str:
    """The name for the audit."""
    name = said or os.environ.get(USER)
    if name:
        return name
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        raise Usage(f"nobody knows who you are: give --as NAME, or set {USER}") from None


def require_reason(because: str) -> None:
    """Whoever acts says why.

    Raises:
        Usage: they do not.
    """
    if not because.strip():
        raise Usage("--because must say something: it is kept in the audit")


def require_app(app: str | None) -> None:
    """Whose definitions are meant must be said.

    Raises:
        Usage: it is not.
    """
    if app is None:
        raise Usage("which definitions? give --app MODULE:ENGINE, or set SAGA_APP")


def duration(option: str, text: str | None) -> timedelta | None:
    """A duration that was typed.

    Raises:
        Usage: it is none.
    """
    if text is None:
        return None
    try:
        value = parse(text)
    except ValueError as error:
        raise Usage(f"{option}: {error}") from None
    except OverflowError:
        raise Usage(f"{option}: {text} is longer than any clock counts") from None
    if value < timedelta(0):
        raise Usage(f"{option} is negative: write a duration such as 15s")
    return value


def tags_of(said: Sequence[str] | None) -> dict[str, str]:
    """The tags that were typed as NAME=VALUE.

    Raises:
        Usage: one is none, or a name comes twice.
    """
    pairs = [one.partition("=") for one in said or ()]
    wrong = next(("".join(pair) for pair in pairs if not pair[0] or not pair[1]), None)
    if wrong is not None:
        raise Usage(f"--tag {wrong!r} is no tag: write NAME=VALUE, such as tenant=acme")
    found = {name: value for name, _, value in pairs}
    if len(found) < len(pairs):
        raise Usage("--tag: a name comes twice, and a saga has one value for each: give each name once")
    return found


def time(option: str, text: str | None) -> datetime | None:
    """A time that was typed.

    Raises:
        Usage: it is none.
    """
    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError:
        raise Usage(f"{option}: {text!r} is not a time: write it like 2026-12-24T18:00:00Z") from None


def typed_or_read(text: str) -> str:
    """What was typed, or the file behind @, or standard input for -.

    Raises:
        Usage: the file cannot be read.
    """
    try:
        if text == "-":
            return sys.stdin.read()
        if text.startswith("@"):
            return Path(text[1:]).read_text(encoding="utf-8")
    except OSError as error:
        raise Usage(f"{text[1:]} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise Usage(f"{text} is not UTF-8 text: write JSON") from None
    return text

"""`saga`: the commands put together, and how every one of them ends.

Rules that hold here: an expected error is one line on stderr and its exit code; an unexpected one is one line,
too, and its traceback is shown with --debug only; a command that is interrupted ends with 130.
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import psycopg
import typer

from saga.cli import acts, check, database, demo, sagas, services, settling, worker
from saga.cli.exits import Exit, Usage, code_of
from saga.errors import SagaError

CLICK_ERROR: type[Exception] = next(
    kind
    for kind in typer.BadParameter.__mro__
    if kind.__name__ == "ClickException" and issubclass(kind, Exception)
)
"""What every complaint about the arguments is; where it lives depends on the version of typer."""

app = typer.Typer(
    name="saga",
    help="The saga engine for Python and Postgres that never guesses.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def root(
    *, debug: bool = typer.Option(False, "--debug", help="Show the traceback of an unexpected error.")
) -> None:
    """The saga engine for Python and Postgres that never guesses."""
    del debug  # `main` has taken it, wherever it stood


for module in (demo, sagas, settling, acts, services, worker, check, database):
    module.add_to(app)


def main(arguments: Sequence[str]) -> int:
    """Run one command; its exit code."""
    debug = "--debug" in arguments
    try:
        return _invoke([_readable(word) for word in arguments if word != "--debug"])
    except CLICK_ERROR as error:
        return _complain(error)
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted()
    except SagaError as error:
        _say(str(error))
        return code_of(error)
    except BrokenPipeError:
        with contextlib.suppress(OSError):  # whoever read our output has gone: nothing more to say
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.ERROR
    except Exception as error:  # noqa: BLE001 - the last line of defence: one sentence, never a traceback unasked
        if debug:
            traceback.print_exc(file=sys.stderr)
        _say(_unexpected(error))
        return Exit.ERROR


def _invoke(arguments: list[str]) -> int:
    code: object = app(arguments, standalone_mode=False, prog_name="saga")
    sys.stdout.flush()
    if code == Exit.INTERRUPTED:
        return _interrupted()
    return code if isinstance(code, int) else Exit.OK


def _readable(word: str) -> str:
    """An argument that is text: the shell may hand over any bytes, and Postgres takes none but UTF-8."""
    if word != word.encode("utf-8", "replace").decode():
        raise Usage(f"{word.encode('utf-8', 'replace').decode()!r} is not UTF-8 text: type it again")
    return word


def _complain(error: Any) -> int:
    """The arguments make no sense, or there are none, which asks for the help."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
    else:
        path = error.ctx.command_path if getattr(error, "ctx", None) else "saga"
        _say(f"{error.format_message()} (see `{path} --help`)")
    return Exit.USAGE


def _interrupted() -> int:
    _say("interrupted")
    return Exit.INTERRUPTED


def _unexpected(error: Exception) -> str:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else "no more is known"
    if isinstance(error, psycopg.OperationalError):
        return f"the database went away ({reason}): check it with `saga db check`, then run the command again"
    return f"unexpected {type(error).__name__}: {reason} (run it again with --debug for the traceback)"


def _say(sentence: str) -> None:
    print(f"saga: {sentence}", file=sys.stderr, flush=True)


def run() -> None:
    """The `saga` program."""
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()

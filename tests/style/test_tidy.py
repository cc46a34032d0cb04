"""Files stay short enough to be read in one sitting, and functions short enough to be seen at once.

The allowances below can only shrink: a file or function that grows past its number fails, and so does a number that
is larger than what it allows.
"""

import ast

from tests.support import repository

FOLDERS = ("saga", "workers", "tests", "examples", "scripts")  # a migration is a list, and never grows
LINES_OF_A_FILE = 320
LINES_OF_A_FUNCTION = 50

FILES: dict[str, int] = {}
FUNCTIONS: dict[str, int] = {}


def test_no_file_is_too_long() -> None:
    """320 lines, or what FILES allows."""
    lengths = {
        repository.name(path): len(path.read_text().splitlines()) for path in repository.python(*FOLDERS)
    }
    too_long = {name: lines for name, lines in lengths.items() if lines > LINES_OF_A_FILE}
    assert too_long == FILES, "split the file, or shrink its allowance to what it is"


def test_no_function_is_too_long() -> None:
    """50 lines from `def` to the last, decorators not counted, or what FUNCTIONS allows."""
    too_long = {
        f"{repository.name(path)}::{function.name}": lines
        for path in repository.python(*FOLDERS)
        for function in repository.functions(path)
        if (lines := (function.end_lineno or function.lineno) - function.lineno + 1) > LINES_OF_A_FUNCTION
    }
    assert too_long == FUNCTIONS, "split the function, or shrink its allowance to what it is"


def test_every_module_says_what_it_is() -> None:
    """A module opens with a docstring; an empty __init__.py is nothing and needs none."""
    silent = [
        repository.name(path)
        for path in repository.python(*FOLDERS)
        if path.read_text().strip() and ast.get_docstring(repository.tree(path)) is None
    ]
    assert silent == []


def test_no_room_is_called_after_nothing() -> None:
    """The folder tells what it is for: no utils, helpers, common or manager."""
    vague = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
    assert [
        repository.name(path)
        for path in repository.files()
        if vague & {path.stem, *path.relative_to(repository.ROOT).parts}
    ] == []

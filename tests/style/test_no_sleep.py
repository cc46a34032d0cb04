"""A test that sleeps is slow when all is well and fails when the machine is slow. Tests wait for what they mean."""

import ast

from tests.support import repository

# file: why nothing but time can be waited for there
ALLOWED: dict[str, str] = {
    "tests/chaos/pace.py": "faults and customers come by the clock; whatever is waited for, is waited for by a condition",
    "tests/unit/worker/test_saga_loop.py": "asks for a sleep to see it refused",
}


def sleeps(module: ast.Module) -> list[int]:
    """The lines that call anything named sleep: time.sleep, asyncio.sleep, pg_sleep through a helper; but saga's own."""
    durable = any(
        isinstance(node, ast.ImportFrom) and node.module == "saga" and "sleep" in {a.name for a in node.names}
        for node in ast.walk(module)
    )
    return [
        node.lineno
        for node in ast.walk(module)
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Name) and node.func.id == "sleep" and not durable)
            or (isinstance(node.func, ast.Attribute) and node.func.attr == "sleep" and not _is_zero(node))
        )
    ]


def _is_zero(call: ast.Call) -> bool:
    """`asyncio.sleep(0)` waits for nothing: it lets the loop turn once."""
    return len(call.args) == 1 and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0


def test_no_test_sleeps() -> None:
    """No file under tests/ calls sleep, but for those that are listed with a reason."""
    found = {
        f"{repository.name(path)}:{line}"
        for path in repository.python("tests")
        if repository.name(path) not in ALLOWED
        for line in sleeps(repository.tree(path))
    }
    assert found == set(), "wait for an event, a lock or a row instead, or give a reason in ALLOWED"


def test_the_allowance_holds_only_what_is_needed() -> None:
    """A file that stopped sleeping leaves the list."""
    sleeping = {repository.name(path) for path in repository.python("tests") if sleeps(repository.tree(path))}
    assert set(ALLOWED) <= sleeping


def test_every_form_of_sleep_is_seen() -> None:
    """The rule sees module attributes and bare names, sync and async, and lets a mere turn of the loop pass."""
    code = "import time\ntime.sleep(1)\nsleep(2)\nawait_ = asyncio.sleep(0.1)\nasyncio.sleep(0)\nanyio.sleep(x)\n"
    assert sleeps(ast.parse(code)) == [2, 3, 4, 6]
    assert sleeps(ast.parse("from saga import sleep\nsleep('3d')\ntime.sleep(1)")) == [3]

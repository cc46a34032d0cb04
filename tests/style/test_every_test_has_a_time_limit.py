"""A test that hangs must name itself, not stop the run: every test has a time limit, and none takes it off."""

import ast

import pytest

from tests.support import repository

LONGEST = 240  # seconds; the whole of `make test` has 300


def test_every_test_has_a_time_limit(pytestconfig: pytest.Config) -> None:
    """The limit of the configuration holds in this very run."""
    assert pytestconfig.pluginmanager.hasplugin("timeout")
    assert 0 < float(pytestconfig.getini("timeout")) <= LONGEST
    assert pytestconfig.getini("timeout_func_only") in (False, None, ""), "fixtures can hang, too"


def test_no_test_takes_its_limit_off() -> None:
    """A mark may give a test more time, in plain sight, and never unlimited time."""
    wrong = []
    for path in repository.python("tests"):
        for node in ast.walk(repository.tree(path)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "timeout"
                and ast.unparse(node.func.value).endswith("mark")
            ):
                values = [*node.args, *(word.value for word in node.keywords if word.arg == "timeout")]
                given = [value.value for value in values[:1] if isinstance(value, ast.Constant)]
                if not given or not isinstance(given[0], int | float) or not 0 < given[0] <= LONGEST:
                    wrong.append(f"{repository.name(path)}:{node.lineno}")
    assert wrong == []

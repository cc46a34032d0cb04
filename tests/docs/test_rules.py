"""The table of rules and tests is what `make rules` prints, and no rule is without a test."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


def rules() -> ModuleType:
    """The script, which is no package."""
    spec = importlib.util.spec_from_file_location("rules", ROOT / "scripts" / "rules.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_rule_has_a_test_that_names_it() -> None:
    """S1 to S40, each."""
    without = [f"S{number}" for number, tests in rules().tests_by_rule().items() if not tests]
    assert without == []


def test_the_table_is_what_the_script_prints() -> None:
    """A renamed test shows in review."""
    assert (ROOT / "docs" / "rules.md").read_text() == rules().document()

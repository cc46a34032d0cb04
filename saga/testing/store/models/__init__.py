"""The models of production's statements, one function each, in files named after those that hold the statements.

Rules that hold here: a model reads all that its statement reads before it first waits; it says in code what the
statement says in SQL and nothing more, so the note of the statement is its documentation; NULL is None.
"""

from __future__ import annotations

import importlib

_FILES = (
    "acts",
    "audit",
    "claims",
    "journal",
    "last_good",
    "leases",
    "moments",
    "outcomes",
    "requests",
    "sagas",
    "services",
    "signals",
    "views",
    "watches",
)


def load() -> None:
    """Import every file, so that its models are known."""
    for name in _FILES:
        importlib.import_module(f"{__name__}.{name}")

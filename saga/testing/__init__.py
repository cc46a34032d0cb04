"""For tests of your own: `World` runs your sagas under faults, `prove_client` points a step at a hostile server.

The fixture `world` comes with the pytest plugin (`saga.testing.plugin`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saga.testing.planning import On
    from saga.testing.prove import Finding, Proof, prove_client
    from saga.testing.samples import NoSample
    from saga.testing.stage import NotHere
    from saga.testing.sweeping import Swept
    from saga.testing.world import Run, World

__all__ = ["Finding", "NoSample", "NotHere", "On", "Proof", "Run", "Swept", "World", "prove_client"]

_HOMES = {
    "Finding": "prove", "NoSample": "samples", "NotHere": "stage", "On": "planning", "Proof": "prove", "Run": "world",
    "Swept": "sweeping", "World": "world", "prove_client": "prove",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import what is asked for, and no more: the plugin is loaded by every run of pytest."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

"""Where the wheel's files come from, beyond the packages themselves.

The repository keeps `migrations/` and `examples/` at its root, where people look for them. A wheel may install
nothing but `saga` and `saga_worker`, so both are laid inside `saga`: the migrations at `saga/migrations`, the
checkout example at `saga/demo/shop`. An editable install runs from the checkout and needs neither copy.
"""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PLACES = {"migrations": "saga/migrations", "examples/checkout": "saga/demo/shop"}


class WheelPlaces(BuildHookInterface):  # type: ignore[type-arg]  # hatchling's parameter names no public type
    """Force-includes the directories of `PLACES`, so that a missing one fails the build."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling with the wheel's version: "standard" or "editable"."""
        if version != "editable":
            build_data["force_include"].update(PLACES)

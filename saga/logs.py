"""Where the engine's events go: into the caller's structlog if that is configured, else to `logging`.

Rules that hold here: a library never configures structlog; without a configuration structlog would print to
stdout, which belongs to the program, so then the standard logger "saga" gets the events, one line each.
"""

from __future__ import annotations

import logging
from typing import Any, cast

import structlog

_PLAIN = structlog.wrap_logger(
    logging.getLogger("saga"),
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.filter_by_level,
        structlog.processors.format_exc_info,
        structlog.processors.KeyValueRenderer(key_order=["event"]),
    ],
    wrapper_class=structlog.stdlib.BoundLogger,
)


class _Log:
    """Decides at each event, because a program may configure structlog after it has imported us."""

    def __getattr__(self, name: str) -> Any:
        return getattr(structlog.get_logger("saga") if structlog.is_configured() else _PLAIN, name)


log = cast("structlog.typing.FilteringBoundLogger", _Log())
"""The engine's logger: event names in the past tense, values as keywords, never a payload."""

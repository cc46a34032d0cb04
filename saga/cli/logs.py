"""Logs of a worker's own process: a line an event on stderr, key=value, or JSON with SAGA_LOG=json.

Rule: only a process of ours configures structlog; a library never does.
"""

from __future__ import annotations

import logging
import os
import sys

import structlog

VARIABLE = "SAGA_LOG"


def configure() -> None:
    """Configure structlog for this process."""
    as_json = os.environ.get(VARIABLE, "").lower() == "json"
    order = ["timestamp", "level", "event"]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(default=str)
        if as_json
        else structlog.processors.LogfmtRenderer(key_order=order, drop_missing=True)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )

"""Where an exception came from: clients say too little in the exception's class, its traceback says the rest.

Rule that holds here: only what a client itself put into an exception counts (explicit causes and arguments),
and never its context, which may be an earlier request's failure that the step was handling.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from types import FrameType
from typing import Any


def made_of(error: BaseException) -> Iterator[BaseException]:
    """`error` and what it was made from: its cause, exceptions as arguments, urllib3's `reason`, botocore's `error`."""
    seen: set[int] = set()
    pending: list[Any] = [error]
    while pending:
        at = pending.pop(0)
        if not isinstance(at, BaseException) or id(at) in seen:
            continue
        seen.add(id(at))
        yield at
        named: Any = getattr(at, "kwargs", None)
        told: Any = named.get("error") if isinstance(named, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        pending += [at.__cause__, getattr(at, "reason", None), told, *at.args]


def frames(error: BaseException, named: Container[str]) -> Iterator[FrameType]:
    """The frames of functions with these names that `error`, or what it was made from, came through."""
    for one in made_of(error):
        at = one.__traceback__
        while at is not None:
            if at.tb_frame.f_code.co_name in named:
                yield at.tb_frame
            at = at.tb_next


def came_through(error: BaseException, *functions: str) -> bool:
    """Whether `error`, or what it was made from, was raised in one of these functions or below it."""
    return next(frames(error, functions), None) is not None


def name(error: BaseException) -> str:
    """The exception's class, for a rule."""
    return type(error).__name__


def said(error: BaseException) -> str:
    """The exception in one line, for a reason."""
    return f"{name(error)}: {error}" if str(error) else name(error)

"""Where an exception came from: clients say too little in the exception's class, its traceback says the rest.

Rule that holds here: what is found only ever takes a proof away or confirms one that the class suggests; an
exception without a traceback (pickled, made by hand) is never more proof than one with it.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from types import FrameType
from typing import Any


def chain(error: BaseException) -> Iterator[BaseException]:
    """`error` and what it was made from: causes, contexts, urllib3's `reason`, exceptions as arguments."""
    seen: set[int] = set()
    pending: list[Any] = [error]
    while pending:
        at = pending.pop(0)
        if not isinstance(at, BaseException) or id(at) in seen:
            continue
        seen.add(id(at))
        yield at
        pending += [at.__cause__, at.__context__, getattr(at, "reason", None), *at.args]


def frames(error: BaseException, named: Container[str]) -> Iterator[FrameType]:
    """The frames of functions with these names that `error`, or what it was made from, came through."""
    for one in chain(error):
        at = one.__traceback__
        while at is not None:
            if at.tb_frame.f_code.co_name in named:
                yield at.tb_frame
            at = at.tb_next


def came_through(error: BaseException, *functions: str) -> bool:
    """Whether `error`, or what it was made from, was raised in one of these functions or below it."""
    return next(frames(error, functions), None) is not None


def said(error: BaseException) -> str:
    """The exception in one line, for a reason."""
    name = type(error).__name__
    return f"{name}: {error}" if str(error) else name

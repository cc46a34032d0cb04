"""The exit codes, and which error ends with which.

Rule: the table is documented, and a program may rely on it; a new error finds its place here or ends with 1.
"""

from __future__ import annotations

from enum import IntEnum

from saga.database import NoDatabase
from saga.errors import InputError, NotFoundError, SagaError, StillProcessing, TooLarge, Unsafe, Unstorable
from saga.operator import Ambiguous


class Exit(IntEnum):
    """What the shell is told."""

    OK = 0
    ERROR = 1
    USAGE = 2
    NOT_FOUND = 3
    FINDINGS = 4
    UNSAFE = 5
    NOT_CONFIRMED = 6
    STILL_RUNNING = 7
    INTERRUPTED = 130


class Usage(SagaError):
    """What was typed cannot be meant; the sentence says what to type."""


_CODES: tuple[tuple[type[BaseException], Exit], ...] = (
    (Usage, Exit.USAGE),
    (NoDatabase, Exit.USAGE),
    (Ambiguous, Exit.USAGE),
    (InputError, Exit.USAGE),
    (Unstorable, Exit.USAGE),
    (TooLarge, Exit.USAGE),
    (NotFoundError, Exit.NOT_FOUND),
    (Unsafe, Exit.UNSAFE),
    (StillProcessing, Exit.STILL_RUNNING),
)


def code_of(error: BaseException) -> Exit:
    """The exit code of an expected error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), Exit.ERROR)

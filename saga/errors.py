"""Everything that the engine raises, and the exceptions by which a step tells its outcome.

Rules that hold here: every message is a sentence that says what to do; `StepFailed` is all that a saga
function ever sees of a step that did not succeed; `Unknown` is not a `StepFailed`, because unknown never
reaches a saga function. `core` has its own frozen outcomes; these are ordinary exceptions for people.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, cast

from saga.core.model import Hint


class SagaError(Exception):
    """The base of everything that the engine raises on purpose."""


class StepFailed(SagaError):
    """What the saga waited for did not happen: `Refused`, `NotExecuted`, `SignalTimeout`. Turns a saga backward."""


class Refused(StepFailed):
    """A final no of the service. Raised by steps and saga functions, *returned* by probes.

    code: a short machine-readable word, such as "card_declined". message: for people.
    rule: the name of the proof, when a classifier found it (S2). status: of the HTTP reply that said it; where
    the service lists what it `stores`, it decides whether the refusal speaks for earlier attempts too (S17).
    """

    def __init__(
        self, code: str, message: str = "", *, rule: str | None = None, status: int | None = None
    ) -> None:
        self.code = code
        self.message = message
        self.rule = rule
        self.status = status
        super().__init__(f"{code}: {message}" if message else code)


class NotExecuted(StepFailed):
    """Certain that nothing happened: safe to send again. Raise it only before anything was sent.

    retry_after: seconds that the service asked us to wait, or None.
    rule: the name of the proof, when a classifier found it (S2).
    """

    def __init__(self, reason: str, retry_after: float | None = None, *, rule: str | None = None) -> None:
        self.reason = reason
        self.retry_after = retry_after
        self.rule = rule
        super().__init__(reason)


class SignalTimeout(StepFailed):
    """Nobody sent the signal in time. Turns a saga backward, unless its function takes another way.

    signal: its name.
    """

    def __init__(self, signal: str) -> None:
        self.signal = signal
        super().__init__(f"the signal {signal} did not come in time")


class Unknown(SagaError):
    """Raised by a step that cannot tell whether its effect happened; the engine settles it.

    retry_after: seconds that the service asked us to wait, or None.
    """

    hint: ClassVar[Hint] = Hint.NONE

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        self.reason = reason
        self.retry_after = retry_after
        super().__init__(reason)


class InProgress(Unknown):
    """The service is working on another request under this key: wait as told, and ask again (S18)."""

    hint = Hint.IN_PROGRESS


class Mismatch(Unknown):
    """The service knows this key with another request: something ran under it. Parks the saga (S19)."""

    hint = Hint.MISMATCH


class ServerError(Unknown):
    """An error of the service, which may be kept under the key and replayed (S20)."""

    hint = Hint.SERVER_ERROR


def only_step_failures(error: BaseException) -> bool:
    """Whether `error` is a `StepFailed`, or an exception group of nothing else, however deep."""
    return all(isinstance(leaf, StepFailed) for leaf in _leaves(error))


def step_failures(error: BaseException) -> list[StepFailed]:
    """Every `StepFailed` in `error`, in the order of an exception group."""
    return [leaf for leaf in _leaves(error) if isinstance(leaf, StepFailed)]


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return [leaf for inner in group.exceptions for leaf in _leaves(inner)]
    return [error]


class DefinitionError(SagaError):
    """Definitions that cannot work. Shows every problem at once, each as a sentence.

    problems: the sentences.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        count = len(self.problems)
        head = "1 problem" if count == 1 else f"{count} problems"
        super().__init__("\n".join([f"{head} in the definitions:", *(f"  - {one}" for one in self.problems)]))

    def __reduce__(self) -> tuple[type[DefinitionError], tuple[list[str]]]:
        """Pickled as its problems, which it is made from, and not as its text: it may be raised in another process."""
        return type(self), (self.problems,)


class DefinitionWarning(UserWarning):
    """A definition that works, but probably not as its author thinks."""


class InputError(SagaError, ValueError):
    """The input of a saga has the wrong shape; nothing was started."""


class StoreError(SagaError):
    """The database could not do what was asked of it."""


class DatabaseUnreachable(StoreError):
    """No connection to the database."""


class SchemaMismatch(StoreError):
    """The schema in the database is older or newer than this release."""


class Unstorable(StoreError, ValueError):
    """A value that JSON in Postgres cannot hold, such as NaN or the character NUL."""


class TooLarge(StoreError, ValueError):
    """A value over the limit of size."""


class NotFoundError(SagaError):
    """There is no such saga, step or id."""


class KeyConflict(SagaError):
    """The key was used before, with another input; the caller's transaction is unharmed."""


class AlreadyEnded(SagaError):
    """The saga has ended, or is being undone: no signal reaches it any more."""


class NotCommitted(SagaError):
    """Waiting for a saga whose row is not committed yet: commit first, then wait."""


class Unsafe(SagaError):
    """An operator's act that was refused because it could hide or double an effect."""


class Ended(SagaError):
    """The base of what `Handle.result` raises in place of a result. `view`: the saga as it was seen."""

    def __init__(self, message: str, *, view: object = None) -> None:
        self.view = view
        super().__init__(message)


class SagaFailed(Ended):
    """The saga ended without its result, and everything it did is undone."""


class SagaAbandoned(Ended):
    """An operator ended the saga; nothing is claimed about what was undone."""


class SagaPurged(Ended):
    """The saga completed, and was purged since: its result is gone, and its key stays taken."""


class StillProcessing(Ended):
    """The saga has not ended yet. Nothing is wrong: ask again later."""

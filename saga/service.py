"""`Service`: what an outside system promises; `Retry`: how often a step is attempted.

Rules that hold here: every default is pessimistic, so that a service of which nothing is said is never sent
the same thing twice; durations are parsed here, once, and the rules of `saga.core` see only `timedelta`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Literal, TypeAlias

from saga.core import retry
from saga.core.durations import Duration, parse
from saga.core.promises import Promises, Remembers
from saga.errors import DefinitionError, NotExecuted, Refused

Classify: TypeAlias = Callable[[BaseException], Refused | NotExecuted | None]
"""An exception of a client in, what it proves out; None means that it proves nothing."""


def duration(owner: str, name: str, value: Duration) -> timedelta:
    """`value` as a `timedelta`.

    Raises:
        DefinitionError: it is not a duration; the sentence names the owner and the argument.
    """
    try:
        return parse(value)
    except (TypeError, ValueError) as error:
        raise DefinitionError([f"{owner}: {name}: {error}"]) from None


class Service:
    """The outside system that steps call, and what it promises (source: its documentation).

    Args:
        name: its name in evidence, logs and messages.
        remembers: what it keeps under an idempotency key: nothing, its successes, or all replies.
        key_lifetime: for how long it keeps that; no request is sent after it. Needed with `remembers`.
        lateness: the longest that a request may still land after its deadline.
        staleness: how far its status answers may lag behind.
        classify: exception -> `Refused`, `NotExecuted`, or None for unknown.

    Raises:
        DefinitionError: a duration that is none, or a word that `remembers` does not know.
    """

    def __init__(
        self,
        name: str,
        *,
        remembers: Literal["nothing", "successes", "all"] = "nothing",
        key_lifetime: Duration | None = None,
        lateness: Duration = "2m",
        staleness: Duration = "5s",
        classify: Classify | None = None,
    ) -> None:
        owner = f"service {name}"
        if remembers not in set(Remembers):
            raise DefinitionError(
                [f'{owner}: remembers is "nothing", "successes" or "all", not {remembers!r}']
            )
        self.name = name
        self.classify = classify
        self.promises = Promises(
            remembers=Remembers(remembers),
            key_lifetime=None if key_lifetime is None else duration(owner, "key_lifetime", key_lifetime),
            lateness=duration(owner, "lateness", lateness),
            staleness=duration(owner, "staleness", staleness),
        )

    def __repr__(self) -> str:
        return f"Service({self.name!r})"


class Retry:
    """How often and how far apart a step is attempted.

    Args:
        attempts: sends in all, the first included.
        first: the longest delay before the second attempt.
        most: the longest delay before any later one. Delays double, with full jitter.
        give_up: no attempt later than this after the first; None for no such limit.

    Raises:
        DefinitionError: a duration that is none.
    """

    def __init__(
        self,
        attempts: int = 5,
        first: Duration = "200ms",
        most: Duration = "30s",
        give_up: Duration | None = None,
    ) -> None:
        self.rules = retry.Retry(
            attempts=attempts,
            first=duration("Retry", "first", first),
            most=duration("Retry", "most", most),
            give_up=None if give_up is None else duration("Retry", "give_up", give_up),
        )

    def __repr__(self) -> str:
        return f"Retry({self.rules})"

"""`Service`: what an outside system promises; `Breaker`: when it is let alone; `Retry`: how often a step is attempted.

Rules that hold here: every default is pessimistic, so that a service of which nothing is said is never sent
the same thing twice; durations and statuses are parsed here, once, and the rules of `saga.core` see only
`timedelta` and signs; what a provider promises is data, with its source and date (`saga.profiles`).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from datetime import timedelta
from os import PathLike
from typing import Any, Literal, TypeAlias, TypedDict, Unpack

from saga.core import breaker as breakers
from saga.core import retry
from saga.core.durations import Duration, parse
from saga.core.promises import Promises, Remembers
from saga.core.replies import Replies, Sign
from saga.errors import DefinitionError, DefinitionWarning
from saga.profiles import files
from saga.replies import Classify, Proof, judged

Status: TypeAlias = int | str
"""A status of a reply: 409, "5xx", or "400 idempotency_error": with a word that names the error in the body."""


class Overrides(TypedDict, total=False):
    """The promises of a `Service` by name: what a profile gives, and what its user may say otherwise."""

    remembers: Literal["nothing", "successes", "all"]
    stores: Iterable[Status] | None
    key_lifetime: Duration | None
    key_length: int | None
    key_scope: str
    lateness: Duration
    staleness: Duration
    mismatch: Iterable[Status]
    in_progress: Iterable[Status]
    conflict: Iterable[Status]
    sheds: Iterable[Status]
    replays_5xx: bool
    voids_by_key: bool


def duration(owner: str, name: str, value: Duration) -> timedelta:
    """`value` as a `timedelta`.

    Raises:
        DefinitionError: it is not a duration; the sentence names the owner and the argument.
    """
    try:
        return parse(value)
    except (TypeError, ValueError) as error:
        raise DefinitionError([f"{owner}: {name}: {error}"]) from None


def _signs(owner: str, name: str, given: Iterable[Status]) -> tuple[Sign, ...]:
    """The statuses as signs; a single text is one status, not its letters."""
    try:
        return tuple(Sign.parse(one) for one in ([given] if isinstance(given, int | str) else given))
    except (TypeError, ValueError) as error:
        raise DefinitionError([f"{owner}: {name}: {error}"]) from None


class Breaker:
    """When a service that fails is let alone, by all workers (docs/breakers.md).

    Args:
        failures: so many in a row, without one answer between them, open it. A failure is an unknown outcome or one
            that was not executed; a refusal is an answer.
        within: they count together when the first and the last are no farther apart.
        cool_down: so long nobody calls an open service; then canaries find out whether it is back.

    Raises:
        DefinitionError: failures is no whole number above zero, or a duration is none, or not longer than nothing.
    """

    def __init__(self, failures: int = 5, within: Duration = "30s", cool_down: Duration = "20s") -> None:
        wrong: list[str] = []
        if type(failures) is not int or failures < 1:
            wrong.append(f"Breaker: failures is a whole number above zero, such as 5, not {failures!r}")
        times = {"within": duration("Breaker", "within", within),
                 "cool_down": duration("Breaker", "cool_down", cool_down)}  # fmt: skip
        wrong += [f"Breaker: {name} must be longer than nothing" for name, t in times.items() if not t]
        if wrong:
            raise DefinitionError(wrong)
        self.rules = breakers.Rules(failures, times["within"], times["cool_down"])

    def __repr__(self) -> str:
        return f"Breaker({self.rules})"


class Service:
    """The outside system that steps call, and what it promises (source: its documentation).

    Args:
        name: its name in evidence, logs and messages.
        remembers: what it keeps under an idempotency key: nothing, its successes, or all replies.
        stores: the statuses of the replies that it keeps, where it lists them; a refusal of any other status
            then settles its own attempt only (S17).
        key_lifetime: for how long it keeps them; no request is sent after it. Needed with `remembers`.
        key_length: the longest key that it takes, in characters.
        key_scope: within what a key is one key, such as "account and region"; for people to read.
        lateness: the longest that a request may still land after its deadline.
        staleness: how far its status answers may lag behind.
        mismatch: the statuses that say: this key is known with another request (S19).
        in_progress: those that say: a request under this key is being worked on (S18).
        conflict: those that are a final no, because of how things stand.
        sheds: those by which it turns a request away before anything was executed.
        replays_5xx: whether errors of the service are kept too, so that a resend resolves nothing (S20).
        voids_by_key: whether a probe can ask it to void a key for good, when the effect is not wanted (S15).
        classify: exception -> `Refused`, `NotExecuted`, `Unknown`, or None for unknown. One that knows HTTP
            replies, such as `saga.http.classify`, is read by the statuses above.
        breaker: when it is let alone; None: only when an operator says so.

    Raises:
        DefinitionError: a duration or a status that is none, or a word that `remembers` does not know.
    """

    def __init__(
        self,
        name: str,
        *,
        remembers: Literal["nothing", "successes", "all"] = "nothing",
        stores: Iterable[Status] | None = None,
        key_lifetime: Duration | None = None,
        key_length: int | None = None,
        key_scope: str = "",
        lateness: Duration = "2m",
        staleness: Duration = "5s",
        mismatch: Iterable[Status] = (),
        in_progress: Iterable[Status] = (),
        conflict: Iterable[Status] = (),
        sheds: Iterable[Status] = (),
        replays_5xx: bool = False,
        voids_by_key: bool = False,
        classify: Classify | None = None,
        breaker: Breaker | None = None,
    ) -> None:
        owner = f"service {name}"
        if remembers not in set(Remembers):
            raise DefinitionError(
                [f'{owner}: remembers is "nothing", "successes" or "all", not {remembers!r}']
            )
        self.name = name
        self.key_scope = key_scope
        self.classify = classify
        self.breaker = None if breaker is None else breaker.rules
        self.promises = Promises(
            remembers=Remembers(remembers),
            key_lifetime=None if key_lifetime is None else duration(owner, "key_lifetime", key_lifetime),
            key_length=key_length,
            lateness=duration(owner, "lateness", lateness),
            staleness=duration(owner, "staleness", staleness),
            replays_5xx=replays_5xx,
            voids_by_key=voids_by_key,
            replies=Replies(
                stores=None if stores is None else _signs(owner, "stores", stores),
                mismatch=_signs(owner, "mismatch", mismatch),
                in_progress=_signs(owner, "in_progress", in_progress),
                conflict=_signs(owner, "conflict", conflict),
                sheds=_signs(owner, "sheds", sheds),
            ),
        )

    @classmethod
    def from_profile(
        cls,
        profile: str,
        *,
        name: str,
        classify: Classify | None = None,
        breaker: Breaker | None = None,
        **overrides: Unpack[Overrides],
    ) -> Service:
        """The service that a shipped profile describes, such as "stripe-v1"; `overrides` win over it.

        Args:
            profile: one of `saga.profiles.shipped()`.
            name: as for `Service`.
            classify: as for `Service`; without one no reply is read.
            breaker: as for `Service`.
            overrides: promises by name, such as what a contract with the provider says.

        Raises:
            DefinitionError: there is no such profile, or it leaves open what must be said here.
        """
        return cls._of(files.load(profile), name, classify, dict(overrides), breaker)

    @classmethod
    def from_file(
        cls,
        path: str | PathLike[str],
        *,
        name: str,
        classify: Classify | None = None,
        breaker: Breaker | None = None,
        **overrides: Unpack[Overrides],
    ) -> Service:
        """The service that a profile of your own describes; see `from_profile` and docs/your-provider.md.

        Raises:
            DefinitionError: the file is no profile, has a field that no profile has, or leaves something open.
        """
        return cls._of(files.read(path), name, classify, dict(overrides), breaker)

    @classmethod
    def _of(
        cls,
        profile: files.Profile,
        name: str,
        classify: Classify | None,
        overrides: dict[str, Any],
        breaker: Breaker | None = None,
    ) -> Service:
        left = [why for what, why in profile.undecided.items() if what not in overrides]
        if left:
            raise DefinitionError([f"service {name}: profile {profile.name}: {why}" for why in left])
        stale = profile.stale()
        if stale is not None:
            warnings.warn(f"service {name}: {stale}", DefinitionWarning, stacklevel=3)
        return cls(name, classify=classify, breaker=breaker, **{**profile.promises, **overrides})

    def proves(self, error: BaseException) -> Proof:
        """What an exception proves of a request to this service: its classifier's word, by its promises."""
        return None if self.classify is None else judged(error, self.classify, self.promises)

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

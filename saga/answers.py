"""What a probe answers when it is asked what became of an effect.

Rules that hold here: `NotFound` is evidence and never a verdict (S13), since the original may still be on
its way; a refusal is *returned*, as `saga.Refused`; raising anything is a failed probe and no evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar, Union

from saga.errors import Refused

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Landed(Generic[T_co]):
    """The service has the effect, and this is its result.

    also: the results of further effects under the same key, when the service made more than one (S23). Give the
    one whose id is known first, else the oldest.
    """

    result: T_co
    also: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class NotFound:
    """The service knows nothing of the key, at this moment."""


@dataclass(frozen=True, slots=True)
class Pending:
    """The service is still at it. `retry_after`: seconds to wait before the next question, or None."""

    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Fenced:
    """The service now guarantees that this key will never land."""


Answer: TypeAlias = Union[Landed[T], Refused, NotFound, Pending, Fenced]  # noqa: UP007 - subscriptable on 3.11
"""What a probe returns: one of five."""

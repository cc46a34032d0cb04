"""`Call`: one attempt of an effect, or one question about it, as its handler sees it.

Rule that holds here: an attempt's budget is counted on the clock that does not stop in suspend (S11), and
whoever sends for it asks here how much is left.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from saga.clock import boottime
from saga.core.durations import Duration, parse
from saga.errors import NotExecuted


@dataclass(frozen=True, slots=True)
class Call:
    """One attempt of an effect, or one question about it; the first argument of every handler.

    key: the idempotency key, the same over all attempts of the effect. effect_key: in a compensation the key
    of the effect that it undoes, else None. attempt: its number, from 1. saga: the saga's id. step: the
    effect's identity, such as "charge#1". deadline_boot: end of the budget, in `saga.clock.boottime` seconds.
    wanted: False when the saga does not want the effect any more, so that a probe may fence its key (S15).
    """

    key: str
    effect_key: str | None
    attempt: int
    saga: str
    step: str
    deadline_boot: float
    wanted: bool = True

    def remaining(self) -> float:
        """Seconds that are left of this attempt's budget; never less than zero."""
        return max(0.0, self.deadline_boot - boottime())

    def check(self) -> None:
        """Ask this last before sending: is there any budget left?

        Raises:
            NotExecuted: the budget is spent. It claims that nothing was sent, so never ask after a send.
        """
        if self.remaining() <= 0:
            raise NotExecuted("the attempt's budget was spent before anything was sent", rule="budget")

    @classmethod
    def fake(
        cls,
        key: str = "k",
        *,
        effect_key: str | None = None,
        attempt: int = 1,
        saga: str = "saga",
        step: str = "step#1",
        timeout: Duration = "1m",
        wanted: bool = True,
    ) -> Call:
        """A call for a test of a plain function: `await charge.body(Call.fake(key="k"), …)`."""
        return cls(key, effect_key, attempt, saga, step, boottime() + parse(timeout).total_seconds(), wanted)


current_call: ContextVar[Call | None] = ContextVar("saga_current_call", default=None)
"""The call that a body or a probe is running under; our clients read their budget from it."""

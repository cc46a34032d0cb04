"""A model checker of explicit states: breadth first, every state once, the shortest way to the first that is wrong.

Rules that hold here: a state is a value that can be hashed; an action is a named function from a state to all that may
come of it, with words for a reader; actions are either steps of the protocol or *faults*, and after the last fault an
end must still be reachable (progress). Nothing here knows what a saga is.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

S = TypeVar("S", bound=Hashable)

PROGRESS = "when faults stop, an end is reached"
"""The name under which a state from which no end can be reached is reported."""


class Event(NamedTuple, Generic[S]):
    """One thing that may happen: what it is called, the state after it, and whether the world or the protocol did it."""

    words: str
    after: S
    fault: bool = False


Action = Callable[[S], Iterable[Event[S]]]
"""All that may happen by one action in a state; nothing where its guard does not hold."""
Invariant = Callable[[S], bool]


@dataclass(frozen=True, slots=True)
class Model(Generic[S]):
    """What is explored. ends: states in which the protocol has done its work."""

    initial: tuple[S, ...]
    actions: tuple[Action[S], ...]
    invariants: dict[str, Invariant[S]]
    ends: Invariant[S]


@dataclass(frozen=True, slots=True)
class Violation(Generic[S]):
    """The invariant that does not hold, and the shortest way there in words."""

    invariant: str
    trace: tuple[str, ...]
    state: S


@dataclass(slots=True)
class Explored(Generic[S]):
    """What an exploration saw. depth: the most steps that a state is away from the beginning."""

    states: int = 0
    transitions: int = 0
    depth: int = 0
    ends: int = 0
    violation: Violation[S] | None = None
    came: dict[S, tuple[S, str] | None] = field(default_factory=dict[S, tuple[S, str] | None], repr=False)


def explore(model: Model[S], *, most: int = 2_000_000) -> Explored[S]:
    """Visit every state that can be reached, and stop at the first that breaks an invariant.

    Raises:
        RuntimeError: there are more than `most` states; nothing is known of those that were not visited.
    """
    collecting = gc.isenabled()
    gc.disable()  # states are trees of tuples, and looking for cycles among millions of them costs a third
    try:
        seen = _explore(model, most)
        seen.came = {}  # the figures and the trace stay, the states are let go
        return seen
    finally:
        if collecting:
            gc.enable()


def _explore(model: Model[S], most: int) -> Explored[S]:
    seen: Explored[S] = Explored(came=dict.fromkeys(model.initial))
    before: dict[S, list[S]] = {}
    level = list(model.initial)
    while level:
        for state in level:
            for name, holds in model.invariants.items():
                if not holds(state):
                    seen.violation = Violation(name, _trace(seen.came, state), state)
                    seen.states = len(seen.came)
                    return seen
        level = _step(model, seen, level, before)
        seen.depth += bool(level)
        if len(seen.came) > most:
            raise RuntimeError(f"more than {most} states")
    seen.states = len(seen.came)
    _require_progress(model, seen, before)
    return seen


def _step(model: Model[S], seen: Explored[S], level: list[S], before: dict[S, list[S]]) -> list[S]:
    """The states that are one step further and were not seen before."""
    found: list[S] = []
    for state in level:
        for event in _events(model, state):
            seen.transitions += 1
            if not event.fault:
                before.setdefault(event.after, []).append(state)
            if event.after not in seen.came:
                seen.came[event.after] = (state, event.words)
                found.append(event.after)
    return found


def _events(model: Model[S], state: S) -> Iterator[Event[S]]:
    for action in model.actions:
        yield from action(state)


def _require_progress(model: Model[S], seen: Explored[S], before: dict[S, list[S]]) -> None:
    """From the ends back along what is no fault: a state that is not met so has lost its end."""
    level = [state for state in seen.came if model.ends(state)]
    seen.ends = len(level)
    safe = set(level)
    while level:
        nearer = {state for after in level for state in before.get(after, ())} - safe
        safe |= nearer
        level = list(nearer)
    for state in seen.came:  # in the order of their depth: the first is the nearest
        if state not in safe:
            seen.violation = Violation(PROGRESS, _trace(seen.came, state), state)
            return


def _trace(came: dict[S, tuple[S, str] | None], state: S) -> tuple[str, ...]:
    words: list[str] = []
    step = came[state]
    while step is not None:
        state, said = step
        words.append(said)
        step = came[state]
    return tuple(reversed(words))

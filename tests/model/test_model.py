"""The protocol breaks no promise in any state that can be reached, and each of its buggy twins is caught."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.model import page
from tests.model.checker import PROGRESS, Event, Model, explore
from tests.model.promises import invariants
from tests.model.protocol import Rules
from tests.model.saga_model import model
from tests.model.twins import PROBE, PROFILES, TWINS, Twin, explored, found
from tests.model.world import Profile

STALE = "the page shows something else: run python -m tests.model --page"
LEAST = 15_000
"""A model that has become so small that it sees nothing would pass, too."""
LONGEST_TRACE = 20


@pytest.mark.timeout(180)  # six seconds alone, and many times that beside everything else
@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_the_protocol_breaks_nothing(profile: Profile) -> None:
    """Every state that two workers, two faults and a hostile service can bring about keeps every promise."""
    seen = explored(profile)
    sys.stdout.write(
        f"{profile.name}: {seen.states} states, {seen.transitions} transitions, depth {seen.depth}\n"
    )
    assert seen.violation is None, "\n".join(seen.violation.trace)
    assert seen.states > LEAST
    assert seen.ends > 0
    assert page.profile_row(profile) in page.rows("profiles"), STALE


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.name)
def test_a_twin_without_the_rule_is_caught(twin: Twin) -> None:
    """A checker that finds nothing must show that it could: without the rule its promise breaks, and soon."""
    wrong = found(twin).violation
    assert wrong is not None, "no invariant sees that the rule is gone"
    assert wrong.invariant == twin.caught
    assert 0 < len(wrong.trace) <= LONGEST_TRACE
    assert page.twin_row(twin) in page.rows("twins"), STALE


HIDDEN = {
    "nothing is undone that did not land": "a refused effect is not undone",
    "completed: each effect once": "one key an effect",
    "nothing forward happens after the turn": "settle before the turn",
}
"""Promises that no twin breaks first, because the same act breaks another one sooner; and a twin that breaks it, too."""


def test_every_promise_can_be_broken() -> None:
    """A promise that no twin breaks may be one that says nothing."""
    named = {*invariants(Rules(PROBE)), PROGRESS}
    assert named == {twin.caught for twin in TWINS} | set(HIDDEN)


@pytest.mark.parametrize(("promise", "without"), HIDDEN.items())
def test_a_promise_that_is_never_the_first_can_be_broken(promise: str, without: str) -> None:
    """Judged alone, it finds its twin."""
    twin = next(twin for twin in TWINS if twin.without == without)
    whole = model(Rules(twin.profile, without))
    wrong = explore(replace(whole, invariants={promise: whole.invariants[promise]})).violation
    assert wrong is not None
    assert wrong.invariant == promise


@pytest.mark.timeout(180)  # as above
def test_the_wait_of_the_next_sender_follows_from_the_others() -> None:
    """Who sends only after quiet, and believes a person only after quiet, has waited already: the rule is a second lock."""
    assert explore(model(Rules(PROBE, "the next sender waits"))).violation is None


def test_the_page_shows_no_more_than_that() -> None:
    """A profile or a twin that is gone leaves the page; the trace on it is the one that the command prints."""
    assert len(page.rows("profiles")) == len(PROFILES), STALE
    assert len(page.rows("twins")) == len(TWINS), STALE
    assert page.shown() in page.PAGE.read_text(), STALE


def test_it_runs_without_anything_installed() -> None:
    """Any Python will do: the model imports nothing but itself."""
    root = str(Path(__file__).resolve().parents[2])
    code = f"import sys; sys.path.insert(0, {root!r}); from tests.model.__main__ import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, "--trace", "two-quiet-reads"],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "broken: a verdict is true" in done.stdout


def test_the_checker_finds_the_shortest_way() -> None:
    """Of two ways to a wrong state the shorter is told, in its words."""
    ways = {0: [("long", 1), ("short", 3)], 1: [("on", 2)], 2: [("on", 3)], 3: []}

    def go(state: int) -> list[Event[int]]:
        return [Event(words, after) for words, after in ways[state]]

    wrong = explore(Model((0,), (go,), {"not three": lambda s: s != 3}, lambda s: s == 3)).violation
    assert wrong is not None
    assert (wrong.invariant, wrong.trace) == ("not three", ("short",))


def test_the_checker_finds_a_dead_end() -> None:
    """A state from which only a fault leads to an end has lost its end."""

    def go(state: int) -> list[Event[int]]:
        return (
            [Event("stray", 1), Event("end", 2)]
            if state == 0
            else [Event("luck", 2, fault=True)] * (state == 1)
        )

    wrong = explore(Model((0,), (go,), {}, lambda s: s == 2)).violation
    assert wrong is not None
    assert (wrong.invariant, wrong.trace) == (PROGRESS, ("stray",))

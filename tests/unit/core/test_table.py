"""Every combination of facts has a rule, and the printed table is what reviewers last saw."""

from pathlib import Path

from saga.core import table
from saga.core.decide import Action, rule
from saga.core.facts import Budget, KeyLife, Means, Stage, Want
from saga.core.model import Direction

PAGE = Path(__file__).resolve().parents[3] / "docs" / "transitions.md"
FACTS = list(table.every_fact())


def test_the_committed_page_is_the_table() -> None:
    """A changed rule shows in review as changed lines: run `make table`, and read the diff."""
    assert PAGE.read_text() == table.document()


def test_every_combination_of_facts_has_a_rule() -> None:
    """No IllegalTransition, whatever comes together."""
    assert {rule(facts) for facts in FACTS} == set(Action)


def test_the_printed_rows_cover_every_combination_exactly_once() -> None:
    """What was merged in print still says the same of each combination."""
    rows = table.rows()
    for facts in FACTS[::7]:
        cells = [str(getattr(facts, name)) for name in type(facts).__slots__]
        matching = [a for row, a in rows if all(r in ("·", c) for r, c in zip(row, cells, strict=True))]
        assert matching == [rule(facts)]


def test_s15_nothing_is_sent_that_is_not_wanted() -> None:
    """In no combination."""
    assert {facts.want for facts in FACTS if rule(facts) is Action.SEND} == {Want.WANTED}


def test_s10_s14_what_is_in_doubt_is_sent_again_only_under_a_living_key_or_freely() -> None:
    """In no combination is a doubt resent to a service that would not know it, or has forgotten."""
    for facts in FACTS:
        if rule(facts) is Action.SEND and facts.stage is Stage.DOUBT and facts.means is not Means.FREELY:
            assert facts.means in {Means.KEY, Means.PROBE_AND_KEY}
            assert facts.key is KeyLife.ALIVE
            assert facts.budget is Budget.LEFT


def test_a_doubt_is_never_settled_by_a_rule() -> None:
    """Only evidence takes an effect out of doubt: in doubt the table sends, asks, accepts or parks."""
    for facts in FACTS:
        if facts.stage in {Stage.DOUBT, Stage.MISMATCH}:
            assert rule(facts) is not Action.SETTLE


def test_s29_a_compensation_is_never_settled_before_it_has_landed_or_was_refused() -> None:
    """Wanted and clear, backward: it is sent, or parks."""
    for facts in FACTS:
        if facts.stage is Stage.CLEAR and facts.direction is Direction.BACKWARD and facts.want is Want.WANTED:
            assert rule(facts) in {Action.SEND, Action.PARK}

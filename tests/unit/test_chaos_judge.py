"""The audit of the chaos run sees what it is for: each planted wrong is found, and a right saga is left alone."""

from __future__ import annotations

import pytest

from tests.chaos.books import Books, Ended, Shown, Wanted
from tests.chaos.judge import judge
from tests.chaos.plan import There, plan
from tests.chaos.services.ledger import Kind, Line

THREE = ("reserve", "charge", "book")


def did(at: int, action: str, *, n: str = "") -> Line:
    return Line(at, Kind.EFFECT, "bank", "s", action, f"key of {action}", f"{action}{n}")


def undid(at: int, action: str) -> Line:
    return Line(at, Kind.UNDO, "bank", "s", "undo", f"key of the undo of {action}", f"undo{at}", action)


def found(
    status: str,
    lines: list[Line],
    *shown: Shown,
    refuse: str | None = None,
    name: str = "checkout",
    cause: str | None = None,
) -> str:
    wanted = Wanted(name, refuse, acknowledged=True, shown=list(shown))
    ended = Ended(name, "s", status, cause, None, None)
    return "; ".join(judge(Books({"s": lines}, {"s": wanted}, {"s": ended}, [])).get("s", []))


RIGHT = [did(n, action) for n, action in enumerate(THREE, 1)]
BACK = [did(1, "reserve"), did(2, "charge"), undid(3, "charge"), undid(4, "reserve")]


def test_what_is_right_is_left_alone() -> None:
    """A completed saga and a compensated one, with what their customers were told."""
    assert found("completed", RIGHT, Shown(2, "processing"), Shown(9, "confirmed")) == ""
    assert found("compensated", BACK, Shown(9, "declined"), refuse="book") == ""
    assert found("compensated", BACK, Shown(9, "try_again")) == ""


@pytest.mark.parametrize(
    ("status", "lines", "says"),
    [
        ("completed", [*RIGHT, did(4, "charge", n="2")], "applied 2 times"),
        ("completed", RIGHT[:2], "completed with"),
        ("completed", [*RIGHT, undid(4, "charge")], "were undone"),
        ("compensated", BACK[:3], "stand"),
        ("compensated", [*BACK, undid(5, "reserve")], "undone 2 times"),
        ("compensated", [BACK[0], BACK[1], undid(3, "reserve"), undid(4, "charge")], "another order"),
        ("compensated", [undid(1, "charge"), did(2, "charge")], "had not landed"),
        ("running", RIGHT, "not ended"),
        ("parked", RIGHT, "parked"),
    ],
)
def test_what_is_wrong_in_the_ledgers_is_found(status: str, lines: list[Line], says: str) -> None:
    """Twice, missing, left standing, in the wrong order, never ended."""
    assert says in found(status, lines)


def test_what_is_wrong_in_a_word_is_found() -> None:
    """A word is compared with the ledgers at the moment at which it was shown, and a final one holds for ever."""
    assert "told confirmed" in found("completed", RIGHT, Shown(2, "confirmed"))
    assert "stood or landed later" in found("compensated", BACK, Shown(3, "declined"), refuse="book")
    assert "stood or landed later" in found("compensated", [did(9, "reserve")], Shown(5, "try_again"))
    assert "nobody refused" in found("compensated", BACK, Shown(9, "declined"))
    assert "always refused" in found("completed", RIGHT, refuse="book")


def test_one_in_a_thousand_may_be_in_doubt_and_nothing_else() -> None:
    """In doubt is honest, and rare where services dedup and can be asked; any other cause is a finding."""
    assert not found("parked", RIGHT, cause="in_doubt")
    assert "parked, after_pivot" in found("parked", RIGHT, cause="after_pivot")
    doubt = Ended("checkout", "s", "parked", "in_doubt", None, None)
    fine = Ended("checkout", "s", "completed", None, None, None)
    for parked, wrong in ((1, 0), (3, 1)):
        sagas = {str(n): doubt if n < parked else fine for n in range(1000)}
        wanted = {key: Wanted("checkout", None) for key in sagas}
        lines = dict.fromkeys(sagas, RIGHT)
        assert len(judge(Books(lines, wanted, sagas, []))) == wrong


def test_a_start_that_is_lost_is_found() -> None:
    """What was acknowledged is there; what was only asked for may be missing."""
    lost = Books({}, {"s": Wanted("checkout", None, acknowledged=True)}, {}, [])
    assert "not there" in judge(lost)["s"][0]
    assert judge(Books({}, {"s": Wanted("checkout", None)}, {}, [])) == {}


def test_a_schedule_follows_from_its_seed() -> None:
    """The same faults at the same moments, and other ones under another seed."""
    there = There(3, ("market",), ("market", "workers' database"))
    assert plan(60, 7, there) == plan(60, 7, there) != plan(60, 8, there)

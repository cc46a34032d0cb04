"""`saga check`: what it prints for people and for programs, and how it ends, so that a deploy can stop at it."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support import rows
from tests.support.code_changes import CHANGED, checkout, ledger, right, stopped_at_charge
from tests.support.shell import Shell

APP = "tests.support.desk_sagas:engine"
FITS, CHANGED_APP = "shop_that_fits:engine", "shop_that_changed:engine"
SHOP = """
import warnings
from saga import Engine, saga
from tests.support.code_changes import STEPS, {function}

print("imported by somebody")

@saga("checkout", steps=STEPS)
async def checkout(order: str) -> str:
    print("replayed by somebody")
    return await {function}(order)

engine = Engine(sagas=[checkout])
"""
BROKEN = """
from saga import Call, Engine, Service, saga, step

psp = Service("psp")

@step(psp, timeout="5s")
async def charge(call: Call, order) -> str:
    return order

@saga("checkout")
async def checkout(order: str) -> str:
    return await charge(order)

engine = Engine(sagas=[checkout])
"""
HASTY = """
from saga import Call, Engine, Service, saga, step

psp = Service("psp", remembers="all", key_lifetime="24h")

@step(psp, timeout="5s", undo="nothing")
async def charge(call: Call, order: str) -> str:
    return order

@saga("checkout", deadline="1m")
async def checkout(order: str) -> str:
    return await charge(order)

engine = Engine(sagas=[checkout])
"""


@pytest.fixture
def shell(
    database_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Generator[Shell]:
    """In a directory with four shops."""
    monkeypatch.delenv("SAGA_DATABASE_URL", raising=False)
    monkeypatch.delenv("SAGA_APP", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    shops = {
        "shop_that_fits": SHOP.format(function="right"),
        "shop_that_changed": SHOP.format(function=CHANGED[0].__name__),
        "shop_that_is_broken": BROKEN,
        "shop_in_haste": HASTY,
    }
    for name, code in shops.items():
        (tmp_path / f"{name}.py").write_text(code)
    importlib.invalidate_caches()
    ledger.clear()
    yield Shell(database_url, capsys)
    for name in shops:
        sys.modules.pop(name, None)


def test_good_definitions_need_no_database(shell: Shell) -> None:
    """What there is, in words and as JSON, and 0; SAGA_APP may name the app."""
    said = shell.bare("check", FITS)
    assert (said.code, said.out) == (0, "definitions ok: checkout v1; steps: 3, services: 1\n")
    assert "imported by somebody" in said.err
    data = shell.bare("check", APP, "-o", "json").data
    assert data == {
        "v": 1, "app": APP, "problems": [], "warnings": [], "sagas": ["asking v1", "faxing v1", "paying v1"], "steps": 2,
        "services": 2,
    }  # fmt: skip


def test_all_problems_of_the_definitions_are_shown(shell: Shell) -> None:
    """Every one of them, and 4; and nothing is asked of a database."""
    said = shell.bare("check", "shop_that_is_broken:engine", "--against-db")
    assert said.code == 4
    assert "! step charge: parameter order has no type: annotate it" in said.out
    assert len(said.out.splitlines()) > 1
    assert "cannot be built" in said.last
    data = shell.bare("check", "shop_that_is_broken:engine", "-o", "json").data
    assert [f"! {problem}" for problem in data["problems"]] == said.out.splitlines()


def test_a_warning_of_the_definitions_is_shown_and_no_finding(shell: Shell) -> None:
    """What works, but probably not as its author thinks."""
    said = shell.bare("check", "shop_in_haste:engine", "-o", "json")
    assert said.code == 0
    (warning,) = said.data["warnings"]
    assert "its deadline of 1m is shorter than the settle_within of step charge" in warning


def test_what_cannot_be_imported_is_no_finding(shell: Shell) -> None:
    """No such module, no such engine: 2, as everywhere."""
    assert shell.bare("check", "shop_that_is_not_there:engine").code == 2
    assert shell.bare("check", f"{FITS}x").code == 2
    assert shell.bare("check").code == 2


def test_open_sagas_that_do_not_fit_are_listed_with_both_sides(shell: Shell) -> None:
    """Counted, listed, 4, and the saga is as it was; code that fits ends with 0. What the code prints is no data."""
    asyncio.run(stopped_at_charge(shell.url))
    before = rows.saga_of(shell.url, "k")
    said = shell("check", CHANGED_APP, "--against-db")
    assert said.code == 4
    assert said.out.splitlines()[1:] == [
        "! k   checkout v1   ready   code changed: charge#1 was recorded with other arguments",
        '    recorded  {"what": "a"}',
        '    called    {"what": "a!"}',
    ]
    assert "1 open saga replayed, 1 cannot go on under this code" in said.err
    assert "checkout v1: 1 code changed" in said.err
    assert "replayed by somebody" in said.err
    data = shell("check", CHANGED_APP, "--against-db", "-o", "json").data["against_db"]
    assert (data["replayed"], data["misfits"]) == (1, 1)
    assert data["groups"] == [{"saga": "checkout v1", "kind": "code_changed", "sagas": 1}]
    (listed,) = data["listed"]
    assert (listed["key"], listed["recorded"], listed["called"]) == ("k", {"what": "a"}, {"what": "a!"})
    assert shell("check", CHANGED_APP, "--against-db", "-o", "jsonl").data == {"v": 1, **listed}
    assert rows.saga_of(shell.url, "k") == before
    fits = shell("check", FITS, "--against-db")
    assert (fits.code, len(fits.out.splitlines())) == (0, 1)
    assert "1 open saga replayed, 0 cannot go on" in fits.err


def test_many_findings_are_counted_and_the_first_are_listed(shell: Shell) -> None:
    """--limit says how many; the counts are of all."""

    async def start() -> None:
        from saga import Engine

        async with Engine(shell.url, sagas=[checkout(right)]) as engine:
            await engine.start_many(checkout(right), [(f"k{n}", "a") for n in range(5)])

    asyncio.run(start())
    said = shell("check", APP, "--against-db", "--limit", "2", "-o", "json")
    data = said.data["against_db"]
    assert (said.code, data["misfits"], len(data["listed"])) == (4, 5, 2)
    assert {one["kind"] for one in data["listed"]} == {"not_served"}
    assert "--limit 5 lists all" in said.err


def test_a_database_of_another_release_is_said(empty_database_url: str, shell: Shell) -> None:
    """Nothing is replayed where the schema is not this release's."""
    said = shell.bare("check", FITS, "--against-db", "--database", empty_database_url)
    assert (said.code, "saga db upgrade" in said.err) == (1, True)

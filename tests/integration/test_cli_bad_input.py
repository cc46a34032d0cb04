"""Bad input: one clear sentence with what to do, the documented exit code, no traceback (`Shell` asserts the last)."""

from pathlib import Path

import pytest

from tests.support import rows
from tests.support.shell import APP, Shell

NO_HOST = "postgresql://nobody@localhost:1/nothing"


@pytest.fixture
def shell(database_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.delenv("SAGA_DATABASE_URL", raising=False)
    monkeypatch.delenv("SAGA_APP", raising=False)
    return Shell(database_url, capsys)


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        (("start", "buying", '"a"', "--key", "k", "--app", APP), 3, "known sagas: asking, faxing, paying"),
        (("start", "paying", "{", "--key", "k", "--app", APP), 2, "Invalid JSON"),
        (("start", "paying", "7", "--key", "k", "--app", APP), 2, "valid string"),
        (("start", "paying", "@absent.json", "--key", "k", "--app", APP), 2, "cannot be read"),
        (("start", "paying", '"a\\u0000"', "--key", "k", "--app", APP), 2, "NUL"),
        (("start", "paying", f'"{"a" * 2_000_000}"', "--key", "k", "--app", APP), 2, "over the limit"),
        (("start", "paying", '"a"', "--key", "", "--app", APP), 2, "a key has 1 to 500 characters"),
        (("start", "paying", '"a"', "--key", "k" * 501, "--app", APP), 2, "this one 501"),
        (("start", "paying", '"a"', "--key", "k"), 2, "SAGA_APP"),
        (("start", "paying", '"a"', "--key", "k", "--after", "soon", "--app", APP), 2, "not a duration"),
        (("start", "paying", '"a"', "--key", "k", "--at", "noon", "--app", APP), 2, "2026-12-24T18:00:00Z"),
        (("start", "paying", '"a"', "--key", "k", "--at", "2030-01-01", "--app", APP), 2, "no time zone"),
        (("start", "paying", '"a"', "--key", "k", "--app", "nowhere:engine"), 2, "no module nowhere"),
        (("start", "paying", '"a"', "--key", "k", "--app", "tests.support.desk_sagas:none"), 2, "it has tests."),
        (("start", "paying", '"a"', "--key", "k", "--app", "tests.support.desk_sagas:nothing"), 2, "no Engine"),
        (("start", "paying", '"a"', "--key", "k", "--app", "json:dumps"), 2, "makes no Engine"),
        (("start", "paying", '"a"', "--key", "k", "--app", "shop"), 2, "MODULE:ENGINE"),
        (("show", "unknown"), 3, "saga list"),
        (("why", "01a20f19"), 3, "saga list"),
        (("wait", "unknown"), 3, "saga list"),
        (("cancel", "unknown", "--because", "b", "--yes"), 3, "saga list"),
        (("probe", "unknown", "charge"), 3, "saga list"),
        (("cancel", "x", "--because", " ", "--yes"), 2, "--because"),
        (("cancel", "x", "--yes"), 2, "--because"),
        (("resolve", "x", "charge", "--because", "b"), 2, "--landed or --never"),
        (("resolve", "x", "charge", "--never", "--result", "1", "--because", "b"), 2, "--result goes with --landed"),
        (("wait", "x", "--timeout", "soon"), 2, "not a duration"),
        (("wait", "x", "--timeout", "-5s"), 2, "negative"),
        (("list", "--since", "yesterday"), 2, "not a duration"),
        (("list", "--status", "odd"), 2, "--status"),
        (("list", "--limit", "0"), 2, "--limit"),
        (("list", "--limit", "9" * 30), 2, "--limit"),
        (("list", "--since", "9999999999d"), 2, "--since"),
        (("list", "--schema", 'a"b%'), 2, "--schema"),
        (("show", "order\udcff"), 2, "not UTF-8"),
        (("start", "paying", '"\\ud800"', "--key", "k", "--app", APP), 2, "Invalid JSON"),
        (("list", "-o", "xml"), 2, "--output"),
        (("db", "purge", "--because", "b"), 2, "--older-than 90d"),
        (("db", "purge", "--older-than", "90d", "--because", " "), 2, "--because must say something"),
        (("db", "purge", "--older-than", "90d"), 2, "--because"),
        (("db", "purge", "--older-than", "soon", "--because", "b"), 2, "not a duration"),
        (("db", "purge", "--older-than", "40000d", "--because", "b"), 2, "36500 days"),
        (("db", "purge", "--older-than", "90d", "--status", "parked", "--because", "b"), 2, "only what has ended"),
        (("db", "purge", "--older-than", "90d", "--batch", "0", "--because", "b"), 2, "--batch"),
        (("list", "--schema", "elsewhere"), 1, "saga db upgrade"),
        (("frobnicate",), 2, "frobnicate"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(shell: Shell, line: tuple[str, ...], code: int, says: str) -> None:
    """The documented exit code, and a sentence that says what to do."""
    said = shell(*line)
    assert (said.code, says in said.last) == (code, True), said.err
    assert said.last.startswith("saga: ")
    assert said.out == ""


@pytest.mark.parametrize("command", [("list",), ("db", "check"), ("db", "upgrade"), ("stuck",)])
def test_a_database_that_is_down(shell: Shell, command: tuple[str, ...]) -> None:
    """1, and the sentence names it and why."""
    said = shell.bare(*command, "--database", NO_HOST)
    assert said.code == 1
    assert "does not answer" in said.err


def test_no_database_is_told_with_the_three_ways(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """2, and --database, SAGA_DATABASE_URL and `db upgrade` are named; the variable then does it."""
    monkeypatch.chdir(tmp_path)
    said = shell.bare("list")
    assert said.code == 2
    for way in ("--database", "SAGA_DATABASE_URL", "saga db upgrade"):
        assert way in said.last
    monkeypatch.setenv("SAGA_DATABASE_URL", shell.url)
    assert shell.bare("list").code == 0


def test_an_embedded_database_is_never_made_by_looking(shell: Shell, tmp_path: Path) -> None:
    """A mistyped directory is an error and not an empty database."""
    said = shell.bare("list", "--database", f"embedded:{tmp_path / 'absent'}")
    assert (said.code, "saga db upgrade" in said.last) == (1, True)
    assert not (tmp_path / "absent").exists()


@pytest.mark.parametrize("url", ["mysql://localhost/shop", "not a url", "http://localhost"])
def test_what_is_no_postgres(shell: Shell, url: str) -> None:
    """The sentence says how a URL looks."""
    said = shell.bare("list", "--database", url)
    assert said.code in {1, 2}
    assert "postgresql://" in said.last


def test_a_schema_that_is_absent_or_newer(shell: Shell, empty_database_url: str) -> None:
    """Too old: run `db upgrade`. Too new: install the release that made it."""
    absent = shell.bare("list", "--database", empty_database_url)
    assert (absent.code, "saga db upgrade" in absent.last) == (1, True)
    worker = shell.bare("worker", "run", APP, "--database", empty_database_url)
    assert (worker.code, "saga db upgrade" in worker.last) == (1, True)
    rows.execute(shell.url, "UPDATE saga.alembic_version SET version_num = '9999'")
    for command in (("list",), ("db", "check"), ("db", "upgrade")):
        newer = shell(*command)
        assert newer.code == 1
        assert "newer than this code" in newer.last


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (("worker", "run", "nowhere:engine"), "no module nowhere"),
        (("worker", "run", "json:dumps"), "makes no Engine"),
        (("worker", "run", APP, "--lease", "10ms"), "--lease"),
        (("worker", "run", APP, "--lease", "long"), "--lease"),
        (("worker", "run", APP, "--processes", "0"), "--processes"),
    ],
)
def test_a_worker_that_cannot_begin(shell: Shell, line: tuple[str, ...], says: str) -> None:
    """2, before anything runs."""
    said = shell(*line)
    assert (said.code, says in said.last) == (2, True), said.err


def test_another_input_under_the_same_key(shell: Shell) -> None:
    """A key belongs to one input."""
    assert shell("start", "paying", '"a"', "--key", "k", "--app", APP).code == 0
    said = shell("start", "paying", '"b"', "--key", "k", "--app", APP)
    assert (said.code, "another input" in said.last) == (1, True)


def test_an_unexpected_error_is_one_line(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The traceback is shown on demand only."""

    def broken(*_: object) -> None:
        raise LookupError("the floor is gone")

    monkeypatch.setattr("saga.cli.sagas.at_desk", broken)
    said = shell("list")
    assert said.code == 1
    assert said.last.startswith("saga: unexpected LookupError: the floor is gone")


def test_an_interrupt_ends_with_130(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is no error."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("saga.cli.sagas.at_desk", interrupted)
    assert shell("list").code == 130


def test_a_module_that_fails_to_import_says_why(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The module is there and broken: its reason, in one line."""
    (tmp_path / "broken_shop.py").write_text("raise RuntimeError('no configuration')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    said = shell("worker", "run", "broken_shop:engine")
    assert (said.code, "no configuration" in said.last) == (2, True)

"""The command line: what it prints for people and for programs, and how it ends."""

import asyncio
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from saga.store.schema import SCHEMA_REVISION
from tests.support import desk_sagas, rows
from tests.support.desk_sagas import faxing, paying
from tests.support.shell import APP, Shell
from tests.support.working import working

UTC_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@pytest.fixture
def shell(database_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.delenv("SAGA_DATABASE_URL", raising=False)
    monkeypatch.delenv("SAGA_APP", raising=False)
    monkeypatch.setenv("SAGA_USER", "ann")
    desk_sagas.forget()
    return Shell(database_url, capsys)


def in_doubt(url: str, *keys: str) -> None:
    """Sagas that wait for a person: their charge has landed, their fax is in doubt, and nobody can ask."""

    async def go() -> None:
        async with working(url, *desk_sagas.SAGAS) as shop:
            for key in keys:
                await shop.parked(faxing, "f", key=key)

    asyncio.run(go())


def done(url: str, *keys: str) -> None:
    """Sagas that are confirmed."""

    async def go() -> None:
        async with working(url, *desk_sagas.SAGAS) as shop:
            for key in keys:
                await shop.run(paying, "p", key=key)

    asyncio.run(go())


def start(shell: Shell, key: str) -> None:
    assert shell("start", "paying", '"a"', "--key", key, "--app", APP).code == 0


def test_start_gives_the_id_and_the_same_key_the_same_saga(shell: Shell, tmp_path: Path) -> None:
    """Input as JSON, from a file; the id on stdout, the database on stderr, first."""
    first = shell("start", "paying", '"a"', "--key", "k", "--app", APP)
    assert first.code == 0
    assert first.err.splitlines()[0].startswith("database postgresql://")
    path = tmp_path / "input.json"
    path.write_text('"a"')
    again = shell("start", "paying", f"@{path}", "--key", "k", "--app", APP, "-o", "json")
    assert again.data == {"v": 1, "id": first.out.strip(), "name": "paying", "version": 1, "key": "k"}


def test_a_start_for_later_says_when_it_begins(shell: Shell) -> None:
    """By a duration or a time; in show, in why and in the list."""
    shell("start", "paying", '"a"', "--key", "k1", "--after", "48h", "--app", APP)
    shell("start", "paying", '"a"', "--key", "k2", "--at", "2100-12-24T18:00:00+01:00", "--app", APP)
    assert "k2 has not begun: it starts at 2100-12-24T17:00:00Z" in shell("why", "k2").out
    shown = shell("show", "k2").out
    assert "asleep" in shown
    assert re.search(r"17:00:00.00 +\. begins +2100-12-24, in \d+d", shown)
    assert "its start" in shell("list").out
    assert shell("show", "k1", "-o", "json").data["waiting_for"] == "its start"


def test_a_retry_of_many_begins_none_that_waits_for_its_start(shell: Shell) -> None:
    """Who retries what is stuck does not mean tomorrow's sagas; whoever names one does."""
    shell("start", "paying", '"a"', "--key", "k1", "--after", "48h", "--app", APP)
    many = shell("retry", "--name", "paying", "--because", "go on", "--yes", "-o", "json")
    assert (many.code, many.data["acts"]) == (0, [])
    assert "1 of them have not begun, and are left alone" in many.err
    assert rows.saga_of(shell.url, "k1")["status"] == "asleep"
    assert shell("retry", "k1", "--because", "she is here", "--yes").code == 0
    assert rows.saga_of(shell.url, "k1")["status"] == "ready"


def test_the_first_line_names_the_database_and_hides_its_password(shell: Shell) -> None:
    """Whoever reads over a shoulder learns nothing."""
    said = shell.bare("list", "--database", "postgresql://shop:sesame@localhost:1/shop")
    assert said.code == 1
    assert said.err.splitlines()[0] == "database postgresql://shop:***@localhost:1/shop   schema saga"
    assert "sesame" not in said.err


def test_list_speaks_to_people_and_to_programs(shell: Shell) -> None:
    """A table with a word and a glyph; json with "v": 1 and times in UTC; jsonl one saga a line."""
    start(shell, "a")
    start(shell, "b")
    table = shell("list")
    assert "· ready" in table.out
    assert table.out.splitlines()[0].split()[:4] == ["ID", "SAGA", "KEY", "STATE"]
    data = shell("list", "-o", "json").data
    assert data["v"] == 1
    assert [s["key"] for s in data["sagas"]] == ["b", "a"]
    assert UTC_TIME.fullmatch(data["sagas"][0]["created_at"])
    assert datetime.fromisoformat(data["sagas"][0]["created_at"]).tzinfo is not None
    lines = [json.loads(line) for line in shell("list", "-o", "jsonl").out.splitlines()]
    assert [(line["v"], line["key"]) for line in lines] == [(1, "b"), (1, "a")]
    groups = shell("list", "--group-by", "name", "-o", "json").data["groups"]
    assert [(g["name"], g["sagas"]) for g in groups] == [("paying v1", 2)]
    assert "there may be more" in shell("list", "--limit", "1").err


def test_stuck_finds_and_ends_with_4_on_demand(shell: Shell) -> None:
    """Nothing stuck: 0. Something: 4 with --exit-code, 0 without; the cause and the command are on the screen."""
    assert shell("stuck", "--exit-code").code == 0
    in_doubt(shell.url, "f")
    said = shell("stuck", "--exit-code")
    assert said.code == 4
    assert "in doubt: fax (dark), nothing can settle it: no probe, and no resend may (" in said.out
    assert 'saga resolve f fax --landed|--never --because "…"' in said.out
    assert "0 workers alive" in said.err
    assert "1 needs a person" in said.last
    assert shell("stuck").code == 0
    data = shell("stuck", "-o", "json").data
    assert (data["v"], data["needs_person"], data["findings"][0]["kind"]) == (1, 1, "in_doubt")


def test_show_tells_the_whole_story(shell: Shell) -> None:
    """A timeline for people; effects, evidence and audit for programs."""
    in_doubt(shell.url, "f")
    said = shell("show", "f", "--input")
    for word in (
        "faxing v1",
        "! in doubt",
        "the customer sees: processing",
        "started",
        "charge#1",
        "the line was cut",
    ):
        assert word in said.out
    data = shell("show", "f", "-o", "json").data
    assert [e["step"] for e in data["effects"]] == ["charge#1", "fax#1"]
    assert [e["kind"] for e in data["evidence"]] == ["intent", "reply"]
    assert (data["v"], data["input"], data["audit"]) == (1, "f", [])
    assert shell("why", "f", "-o", "json").data["why"].startswith("f waits for a person: fax#1 was sent")


def test_wait_ends_with_0_6_or_7(shell: Shell) -> None:
    """Confirmed, ended otherwise, still running."""
    done(shell.url, "p")
    assert shell("wait", "p").code == 0
    start(shell, "a")
    still = shell("wait", "a", "--timeout", "20ms")
    assert (still.code, "saga why" in still.last) == (7, True)
    assert shell("abandon", "a", "--because", "b", "--yes").code == 0
    ended = shell("wait", "a", "-o", "json")
    assert (ended.code, ended.data["status"], ended.data["view"]) == (6, "abandoned", "processing")


def test_acts_are_previewed_asked_and_audited(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """--dry-run does nothing; without a terminal --yes must be said; --as names who acts."""
    in_doubt(shell.url, "f")
    dry = shell("compensate", "f", "--because", "b", "--dry-run", "-o", "json", "--app", APP)
    (preview,) = dry.data["previews"]
    assert (dry.code, preview["refused"]) == (0, None)
    assert preview["plan"] == {"settle": ["fax#1"], "undo": ["charge#1"], "certain": True}
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    refused = shell("compensate", "f", "--because", "b")
    assert (refused.code, "--yes" in refused.last) == (5, True)
    assert rows.saga_of(shell.url, "f")["revision"] == preview_revision(shell)
    acted = shell("compensate", "f", "--because", "too old", "--yes", "--as", "bob", "-o", "json")
    assert acted.data["acts"][0]["answer"] == "requested"
    (entry,) = shell("show", "f", "-o", "json").data["audit"]
    assert (entry["who"], entry["act"], entry["because"]) == ("bob", "compensate", "too old")


def preview_revision(shell: Shell) -> int:
    revision: int = shell("show", "f", "-o", "json").data["revision"]
    return revision


def test_who_says_no_at_the_terminal_has_done_nothing(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The question is asked, and no is no; yes is yes."""
    start(shell, "a")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    answers = iter([False, True])
    monkeypatch.setattr("typer.confirm", lambda *_, **__: next(answers))
    assert shell("cancel", "a", "--because", "b").last == "saga: nothing was done"
    assert not rows.saga_of(shell.url, "a")["cancel_requested"]
    assert shell("cancel", "a", "--because", "b").code == 0
    assert rows.saga_of(shell.url, "a")["cancel_requested"]


def test_a_query_counts_first_and_does_what_is_safe(shell: Shell) -> None:
    """Refused ones are listed and the rest is done; a query without filters is refused, and so is one with ids."""
    in_doubt(shell.url, "f", "g")
    desk_sagas.BUGS.add("p")

    async def bug() -> None:
        async with working(shell.url, *desk_sagas.SAGAS) as shop:
            await shop.parked(paying, "p", key="b")

    asyncio.run(bug())
    said = shell("retry", "--status", "parked", "--because", "b", "--yes", "--app", APP, "-o", "json")
    assert said.code == 5
    assert "3 sagas fit" in said.err
    assert "1 safe, 2 refused" in said.err
    assert {a["key"]: a["answer"] for a in said.data["acts"]} == {"f": "refused", "g": "refused", "b": "done"}
    assert (
        "are taken" in shell("retry", "--name", "faxing", "--because", "b", "--dry-run", "--limit", "1").err
    )
    only = shell("retry", "--cause", "in_doubt", "--because", "b", "--dry-run", "-o", "json")
    assert {p["key"] for p in only.data["previews"]} == {"f", "g"}
    assert [s["key"] for s in shell("list", "--cause", "in_doubt", "-o", "json").data["sagas"]] == ["g", "f"]
    assert shell("retry", "--because", "b", "--yes").code == 2
    assert shell("retry", "f", "--name", "faxing", "--because", "b", "--yes").code == 2
    assert shell("cancel", "f", "g", "--because", "b", "--yes").code == 0


def test_too_late_and_unsafe_end_with_5(shell: Shell) -> None:
    """What has ended is not cancelled; what would be a guess is not retried."""
    done(shell.url, "p")
    in_doubt(shell.url, "f")
    late = shell("cancel", "p", "--because", "b", "--yes")
    assert late.code == 5
    assert "ended" in late.last
    assert shell("retry", "f", "--because", "b", "--yes").code == 5
    assert shell("abandon", "p", "--because", "b", "--yes").code == 5


def test_resolve_states_without_a_worker_only_with_no_probe(shell: Shell) -> None:
    """No worker serves it: 1, with the command that starts one; --no-probe goes on."""
    in_doubt(shell.url, "f")
    asked = shell("resolve", "f", "fax", "--never", "--because", "b", "--yes")
    assert (asked.code, "saga worker run" in asked.last) == (1, True)
    assert (shell("probe", "f", "fax").code) == 1
    dry = shell("resolve", "f", "fax", "--never", "--because", "b", "--dry-run")
    assert "never landed, and never will" in dry.out
    said = shell("resolve", "f", "fax", "--never", "--because", "b", "--yes", "--no-probe", "-o", "json")
    assert said.code == 0
    assert (said.data["stated"], said.data["status"], said.data["service"]) == (True, "ready", None)


def test_resolve_landed_needs_a_result_that_fits(shell: Shell) -> None:
    """Wrong JSON, a wrong type and no result at all are told before anything is written."""
    in_doubt(shell.url, "f")
    common = ("resolve", "f", "fax", "--landed", "--because", "b", "--yes", "--no-probe")
    assert shell(*common, "--result", "{").code == 2
    assert shell(*common).code == 2
    assert shell(*common, "--result", "7", "--app", APP).code == 2
    assert rows.saga_of(shell.url, "f")["status"] == "parked"
    assert shell(*common, "--result", '"by hand"', "--app", APP).code == 0


def test_workers_are_listed(shell: Shell) -> None:
    """Who serves what, and when it was last heard of."""

    async def go() -> Any:
        async with working(shell.url, *desk_sagas.SAGAS):
            return await asyncio.to_thread(shell, "worker", "list", "-o", "json")

    (worker,) = asyncio.run(go()).data["workers"]
    assert (worker["alive"], worker["serves"]) == (True, ["paying v1", "faxing v1", "asking v1"])
    assert shell("worker", "list", "-o", "json").data == {"v": 1, "workers": []}


def test_the_database_is_checked(shell: Shell) -> None:
    """The schema is ours; what may lose a commit is a warning, and a finding on demand."""
    said = shell("db", "check", "-o", "json")
    assert (said.code, said.data["revision"]) == (0, SCHEMA_REVISION)
    fast = any("fsync is off" in warning for warning in said.data["warnings"])
    assert shell("db", "check", "--exit-code").code == (4 if fast else 0)


def test_the_schema_is_made_and_printed(empty_database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`db upgrade` makes it, twice does nothing more, --sql prints it and needs no database."""
    shell = Shell(empty_database_url, capsys)
    assert "now (before: none)" in shell("db", "upgrade").err
    assert "already" in shell("db", "upgrade").err
    script = shell.bare("db", "upgrade", "--sql", "--schema", "other")
    assert script.code == 0
    assert "CREATE TABLE other.saga" in script.out


def test_signal_tells_a_saga_what_it_waits_for(shell: Shell, database_url: str) -> None:
    """Typed, under a key once; what is shown of it, and why the saga waits; and each mistake is told."""

    async def until(condition: str) -> None:
        async with working(database_url, *desk_sagas.SAGAS):
            await rows.until(database_url, "k", condition)

    assert shell("start", "asking", '"a"', "--key", "k", "--app", APP).code == 0
    asyncio.run(until("status = 'asleep'"))
    assert "and at once when `saga signal k word JSON` sends" in shell("why", "k").out
    wrong = shell("signal", "k", "word", "{}", "--app", APP)
    assert (wrong.code, "payload of signal word is wrong: by: Field required" in wrong.err) == (2, True)
    nothing = shell("signal", "k", "wrod", "{}", "--app", APP)
    assert (nothing.code, "waits for no signal wrod; it waits for word" in nothing.err) == (2, True)
    assert shell("signal", "k", "word", "{}").code == 2
    for _ in range(2):
        sent = shell("signal", "k", "word", '{"by": "ann"}', "--key", "w1", "--app", APP)
        assert (sent.code, sent.out.strip()) == (0, "word sent to k")
    asyncio.run(until("status = 'completed'"))
    said = shell("show", "k").out
    assert "+ signal word" in said
    assert 'under w1   {"by":"ann"}' in said
    assert "v word#1" in said
    data = shell("show", "k", "-o", "json").data
    assert [(m["step"], m["signal"]) for m in data["moments"]] == [("word#1", data["signals"][0]["id"])]
    late = shell("signal", "k", "word", '{"by": "bob"}', "--app", APP)
    assert (late.code, "has ended, it is completed" in late.err) == (1, True)

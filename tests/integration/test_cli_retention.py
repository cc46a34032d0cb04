"""`saga db purge`: says what will go, asks, and does it in batches; its answers are the desk's."""

from __future__ import annotations

import pytest

from tests.support import rows
from tests.support.shell import Shell

FILL = (
    "INSERT INTO saga.saga (id, name, version, key, status, input, output, input_hash, created_at, finished_at)"
    " SELECT gen_random_uuid(), 'order', 1, 'order:' || n, 'completed', '1', '1', 'h', now() - interval '100 d',"
    " now() - interval '100 d' FROM generate_series(1, 3) n"
)
PURGE = ("db", "purge", "--older-than", "90d", "--because", "ninety days")
FORGET = ("db", "purge", "--forget-tombstones-older-than", "0s", "--because", "they asked us to")


@pytest.fixture
def shell(database_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("SAGA_USER", "ada")
    rows.execute(database_url, FILL)
    return Shell(database_url, capsys)


def purged(shell: Shell) -> int:
    return len(rows.select(shell.url, "SELECT 1 FROM saga.saga WHERE purged_at IS NOT NULL"))


def test_a_dry_run_says_how_many_and_does_nothing(shell: Shell) -> None:
    """By end, with the age of the oldest."""
    said = shell(*PURGE, "--dry-run")
    assert (said.code, said.out) == (0, "3 sagas would be purged\n")
    assert "3 completed, the oldest 100d ago: purged, their keys stay taken" in said.err
    assert purged(shell) == 0


def test_without_a_terminal_yes_must_be_said(shell: Shell) -> None:
    """5, and nothing is done."""
    said = shell(*PURGE)
    assert said.code == 5
    assert "--yes" in said.last
    assert purged(shell) == 0


def test_it_is_purged_audited_and_told_by_show_and_why(shell: Shell) -> None:
    """The key is still found, and what it was is told; the list does not know it any more."""
    said = shell(*PURGE, "--yes", "--limit", "2", "--batch", "1", "-o", "json")
    assert said.data == {"v": 1, "purged": 2, "forgotten": 0, "dry_run": False}
    audited = rows.select(shell.url, "SELECT who, act, because FROM saga.audit")
    assert audited == [{"who": "ada", "act": "purge", "because": "ninety days"}] * 2
    assert shell(*PURGE, "--yes").out == "1 saga purged\n"
    shown = shell("show", "order:1")
    assert "completed" in shown.out
    assert "purged" in shown.out
    assert "its key stays taken" in shown.out
    assert shell("show", "order:1", "-o", "json").data["purged_at"] is not None
    assert "order:1 ended 100d ago, it is completed, and was purged" in shell("why", "order:1").out
    assert shell("list", "--all", "-o", "json").data["sagas"] == []
    assert shell("wait", "order:1").code == 0


def test_forgetting_warns_of_what_a_new_start_will_do(shell: Shell) -> None:
    """The tombstones of an earlier run, never those of the same."""
    shell(*PURGE, "--yes")
    said = shell(*FORGET, "--dry-run")
    assert said.out == "3 tombstones would be forgotten\n"
    assert "runs anew, under the same idempotency keys" in said.err
    assert shell(*FORGET, "--yes").out == "3 tombstones forgotten\n"
    assert shell("show", "order:1").code == 3
    assert shell(*FORGET, "--yes").out == "0 tombstones forgotten\n"

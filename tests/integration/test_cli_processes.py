"""`saga worker run` as real processes: they serve, drain when they are told to, and are brought back when they die."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import psycopg
import pytest

from saga.dev.processes import wait_until
from tests.support import repository, rows
from tests.support.shell import APP

SECONDS = 20
Launch = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def launch(database_url: str, tmp_path: Path) -> Generator[Launch]:
    """Starts `saga …` as a process of its own; whatever is left of it at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def go(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        with (tmp_path / "log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "saga.cli.main", *arguments, "--database", database_url],
                cwd=repository.ROOT,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        started.append(process)
        return process

    yield go
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
    for pid in pids(database_url):
        kill(pid)


def pids(url: str) -> set[int]:
    """The processes of the workers that are registered."""
    return {row["pid"] for row in rows.select(url, "SELECT DISTINCT pid FROM saga.worker")}


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def until_registered(url: str, count: int, but: frozenset[int] = frozenset()) -> set[int]:
    """Waits for so many workers, besides those that are known."""
    wait_until(lambda: len(pids(url) - but) >= count, SECONDS, f"{count} workers register")
    return pids(url) - but


def start(url: str, launch: Launch, key: str) -> None:
    process = launch("start", "paying", '"a"', "--key", key, "--app", APP)
    process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    assert rows.saga_of(url, key)["status"] is not None


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_worker_serves_and_drains(
    database_url: str, launch: Launch, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """It runs what is there; a signal ends it with nothing owned and no row left; stdout stays empty."""
    start(database_url, launch, "a")
    worker = launch("worker", "run", APP)
    ended = launch("wait", "a", "--timeout", f"{SECONDS}s", "-o", "json")
    assert json.loads(ended.communicate(timeout=SECONDS)[0])["status"] == "completed"
    worker.send_signal(number)
    assert worker.communicate(timeout=SECONDS)[0] == ""
    assert worker.returncode == code
    assert pids(database_url) == set()
    log = (tmp_path / "log").read_text()
    assert "event=worker_started" in log
    assert "event=worker_stopped" in log


def test_logs_are_json_on_demand(database_url: str, launch: Launch, tmp_path: Path) -> None:
    """SAGA_LOG=json: each line after the first is an object."""
    worker = launch("worker", "run", APP, SAGA_LOG="json")
    until_registered(database_url, 1)
    worker.terminate()
    worker.communicate(timeout=SECONDS)
    lines = (tmp_path / "log").read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines[1:]] == ["worker_started", "worker_stopped"]


def test_a_dead_process_is_brought_back_and_all_drain_together(database_url: str, launch: Launch) -> None:
    """Two processes; one is killed -9 and another takes its place; SIGTERM to the parent ends all."""
    parent = launch("worker", "run", APP, "--processes", "2", "--lease", "2s")
    first = until_registered(database_url, 2)
    assert parent.pid not in first
    victim = min(first)
    os.kill(victim, signal.SIGKILL)
    (fresh,) = until_registered(database_url, 1, but=frozenset(first))
    parent.terminate()
    parent.communicate(timeout=SECONDS)
    assert parent.returncode == 0
    assert not any(lives(pid) for pid in (*first, fresh))


def test_a_parent_that_is_killed_leaves_no_worker(database_url: str, launch: Launch) -> None:
    """Nobody tells the children, so they look after it themselves, and drain."""
    parent = launch("worker", "run", APP, "--processes", "2")
    children = until_registered(database_url, 2)
    parent.kill()
    wait_until(lambda: not any(lives(pid) for pid in children), SECONDS, "the children end")
    assert pids(database_url) == set()


def test_two_processes_at_the_same_saga_have_one_winner(database_url: str, launch: Launch) -> None:
    """S39 from the shell: both wait for the same row; one ends with 0, the other with 1 and the winner's name."""
    start(database_url, launch, "a")
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with psycopg.connect(database_url) as holder:
        holder.execute("SELECT 1 FROM saga.saga FOR UPDATE")
        acts = [
            launch("abandon", "a", "--because", "tidy", "--yes", "--as", who, "-o", "json")
            for who in ("ann", "bob")
        ]
        wait_until(lambda: len(rows.select(database_url, waiting)) == 2, SECONDS, "both wait for the saga")
    said = [act.communicate(timeout=SECONDS)[0] for act in acts]
    assert sorted(act.returncode for act in acts) == [0, 1]
    assert sorted(bool(one) for one in said) == [False, True]
    assert len(rows.select(database_url, "SELECT 1 FROM saga.audit")) == 1

"""What `make` does before anything is installed: the interpreter it takes, the sentences it says, the help it prints."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import repository

NAMES = ("python3.14", "python3.13", "python3.12", "python3.11", "python3")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A directory with what make reads first, in which nothing is installed."""
    for name in (
        "Makefile",
        "pyproject.toml",
        "constraints.txt",
        "hatch_build.py",
        "scripts/venv.sh",
        "scripts/python.sh",
    ):
        copy = tmp_path / "checkout" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(repository.ROOT / name, copy)
    return tmp_path / "checkout"


def run(
    checkout: Path, *command: str, path: str | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": path or os.defpath, "HOME": str(checkout), **variables}
    return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)


def program(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def test_make_alone_prints_the_commands(checkout: Path) -> None:
    """`make` is its own help, and needs no environment for it."""
    done = run(checkout, "make")
    assert done.returncode == 0
    for target in (
        "demo",
        "test",
        "check",
        "lint",
        "types",
        "fmt",
        "unit",
        "crash",
        "table",
        "migration",
        "fresh",
        "clean",
    ):
        assert any(line.startswith(f"  {target} ") for line in done.stdout.splitlines()), target
    assert not (checkout / ".venv").exists()


def test_the_newest_python_that_does_is_taken(checkout: Path, tmp_path: Path) -> None:
    """A newer name that does not run (a shim, say) is passed over; so is a Python that is too old."""
    folder = tmp_path / "bin"
    for name in NAMES:
        program(folder, name, f'exec "{sys.executable}" "$@"')
    program(folder, "python3.14", "exit 127")
    program(folder, "python3.13", 'exec "$0.not-there"')
    assert run(checkout, "/bin/sh", "scripts/python.sh", path=str(folder)).stdout == "python3.12\n"
    assert (
        run(checkout, "/bin/sh", "scripts/python.sh", path=str(folder), PYTHON="python3").stdout
        == "python3\n"
    )


def test_a_python_that_was_named_and_does_not_do_is_an_error(checkout: Path) -> None:
    """PYTHON= is an order: another interpreter is no substitute for it."""
    done = run(checkout, "make", "venv", PYTHON="no-such-python")
    assert done.returncode != 0
    assert "PYTHON=no-such-python is not a Python of 3.11 or newer" in done.stderr
    assert done.stdout == ""


def test_no_python_at_all_is_one_sentence(checkout: Path, tmp_path: Path) -> None:
    """The sentence says what to do."""
    done = run(checkout, "/bin/sh", "scripts/python.sh", path=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("no Python of 3.11 or newer on PATH: install one")


def test_without_ensurepip_and_its_substitutes_the_package_is_named(checkout: Path, tmp_path: Path) -> None:
    """Debian's python3 without python3-venv: one sentence, exit 1, and no half-made .venv left or kept."""
    folder = tmp_path / "bin"
    refuse = 'for word; do case "$word" in *ensurepip*|virtualenv) exit 1;; esac; done'
    program(folder, "python3", f'{refuse}\nexec "{sys.executable}" "$@"')
    for name in ("sh", "rm", "dirname", "cat", "env"):
        (folder / name).symlink_to(shutil.which(name) or name)
    (checkout / ".venv").mkdir()  # half-made: there is no Python in it
    done = run(checkout, "/bin/sh", "scripts/venv.sh", path=str(folder))
    assert done.returncode == 1, done.stderr
    assert "apt install python3-venv" in done.stderr
    assert done.stdout == ""
    assert not (checkout / ".venv").exists()


def test_the_arguments_of_the_demo_are_handed_on(checkout: Path) -> None:
    """ARGS replaces the defaults; without it the demo is the one of the README."""
    assert "saga demo --orders 300 --workers 3 --seed 7\n" in run(checkout, "make", "-n", "demo").stdout
    assert (
        "saga demo --orders 5 --json\n"
        in run(checkout, "make", "-n", "demo", "ARGS=--orders 5 --json").stdout
    )

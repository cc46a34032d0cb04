"""One set of services a test process; a database, doors and a crew of workers for each test."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from examples.checkout.processes import child_environment
from examples.checkout.services.control import Point, Services, start_all
from tests.support.crew import Crew
from tests.support.doors import Doors
from tests.support.fire import engine_for
from tests.support.repository import ROOT
from tests.support.stage import Stage

Shell = Callable[..., subprocess.CompletedProcess[str]]

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def running_services(tmp_path_factory: pytest.TempPathFactory) -> Generator[Services]:
    """The three services; each test has orders of its own in their ledgers."""
    with start_all(tmp_path_factory.mktemp("ledgers"), lateness=1.0) as services:
        yield services


@pytest.fixture
def services(running_services: Services) -> Generator[Services]:
    """The same, without faults and with every gate open at the end of the test."""
    yield running_services
    for service in running_services.all():
        service.clear_faults()
        for operation in ("reserve", "release", "charge", "refund", "mail"):
            for point in Point:
                service.open_gate(operation, point)


@pytest.fixture
def doors() -> Generator[Doors]:
    """The doors of every step."""
    with Doors() as made:
        yield made


@pytest.fixture
def stage(database_url: str) -> Generator[Stage]:
    """The database of the test, and who owns what in it."""
    made = Stage(database_url, engine_for(database_url))
    made.watch_ownership()
    yield made
    made.close()


@pytest.fixture
def crew(stage: Stage, services: Services, doors: Doors, tmp_path: Path) -> Generator[Crew]:
    """Workers of the test; none yet."""
    environment = {"SAGA_DATABASE_URL": stage.url, **services.environment(), **doors.environment()}
    with Crew(tmp_path, environment) as made:
        yield made
    stage.assert_ownership_is_sound()


@pytest.fixture
def shell(stage: Stage) -> Shell:
    """The `saga` command, in a process of its own."""
    environment = child_environment({"SAGA_DATABASE_URL": stage.url, "SAGA_APP": "tests.support.fire:engine"})

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "saga.cli.main", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30, check=False
        )

    return run


@pytest.fixture
def order() -> str:
    """A name that no other test of this process uses."""
    return f"order-{next(_numbers)}"

"""Fixtures for every test that needs Postgres: one server a test process, one migrated template, a clone a test.

Rules: the server of these fixtures gives up durability and lives in memory where there is room, because nothing of an
ordinary test outlives its process, and a clone took up to 0.3 s on a busy disk and takes 0.01 s there. A test that
kills its server takes `durable_server`. `SAGA_TEST_FSYNC=on` puts all of them on disk, to rule this out as a cause.
"""

import itertools
import os
import shutil
from collections.abc import Generator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from saga.dev.embedded import Server, temporary

FAST = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "256MB"}
TEMPLATE = "saga_template"
MEMORY = Path(
    "/dev/shm"
)  # a file system in memory on Linux; a container may have 64 MB of it, macOS has none
ROOM = 2 * 1024**3  # bytes
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def database_server() -> Generator[Server]:
    """A Postgres of this test process alone; a watchdog ends it even if the process is killed."""
    if os.environ.get("SAGA_TEST_FSYNC") == "on":
        fast, within = {}, None
    else:
        fast, within = FAST, MEMORY if _has_room(MEMORY) else None
    with temporary(settings=fast, within=within) as server:
        yield server


@pytest.fixture
def durable_server() -> Generator[Server]:
    """A Postgres of this test alone that may be killed and started again, and loses nothing that it committed."""
    with temporary() as server:
        yield server


@pytest.fixture
def durable_database_url(durable_server: Server) -> str:
    """The migrated database of `durable_server`."""
    from saga.store import migrate

    migrate.upgrade(durable_server.url, "saga")
    return durable_server.url


@pytest.fixture(scope="session")
def migrated_template(database_server: Server) -> str:
    """The name of a database with the newest schema, which a test clones in a few milliseconds."""
    from saga.store import migrate

    _administer(database_server.url, f"CREATE DATABASE {TEMPLATE}")
    migrate.upgrade(with_database(database_server.url, TEMPLATE), "saga")
    return TEMPLATE


@pytest.fixture
def database_url(database_server: Server, migrated_template: str) -> Generator[str]:
    """A fresh database with the newest schema, for one test."""
    yield from _database(database_server.url, f" TEMPLATE {migrated_template}")


@pytest.fixture
def empty_database_url(database_server: Server) -> Generator[str]:
    """A fresh database without any schema, for the tests of the migrations themselves."""
    yield from _database(database_server.url, "")


def _has_room(place: Path) -> bool:
    return place.is_dir() and os.access(place, os.W_OK) and shutil.disk_usage(place).free > ROOM


def with_database(url: str, name: str) -> str:
    """The URL of another database on the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _database(url: str, template: str) -> Generator[str]:
    name = f"test_{next(_numbers)}"
    _administer(url, f"CREATE DATABASE {name}{template}")
    yield with_database(url, name)
    # FORCE: a test that failed may leave connections, and must not make the next ones fail with it
    _administer(url, f"DROP DATABASE {name} WITH (FORCE)")


def _administer(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())

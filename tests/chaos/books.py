"""What the audit reads: the services' ledgers, the customers' log, and how the engine says that each saga ended."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from tests.chaos.services import warehouse
from tests.chaos.services.ledger import Kind, Line, read

IN_FILES = ("stock", "bank", "courier")
SAGAS = "SELECT name, key, status, park_cause, park_reason, alarm FROM saga.saga"


@dataclass(frozen=True, slots=True)
class Ended:
    """A saga as the engine's table has it."""

    name: str
    key: str
    status: str
    park_cause: str | None
    park_reason: str | None
    alarm: str | None


@dataclass(frozen=True, slots=True)
class Shown:
    """A word that a customer read, not later than `at`."""

    at: int
    word: str


@dataclass(slots=True)
class Wanted:
    """What the customers' log says of one saga."""

    name: str
    refuse: str | None
    acknowledged: bool = False
    cancelled: bool = False
    shown: list[Shown] = field(default_factory=list[Shown])


@dataclass(slots=True)
class Books:
    """Everything, by the saga's key."""

    lines: dict[str, list[Line]]
    wanted: dict[str, Wanted]
    sagas: dict[str, Ended]
    broke: list[str]
    """What went wrong in the customers themselves: a bug of the run."""


def ledgers(directory: Path, warehouse_url: str) -> dict[str, list[Line]]:
    """All lines of all ledgers by saga, in the order in which they were written."""
    found = [line for name in IN_FILES for line in read(directory / f"{name}.ledger")]
    with psycopg.connect(warehouse_url) as connection:
        for at, kind, saga, action, key, id_, undoes in connection.execute(warehouse.READ.encode()):
            found.append(Line(at, Kind(kind), "warehouse", saga, action, key, id_, undoes))
    by_saga: defaultdict[str, list[Line]] = defaultdict(list)
    for line in sorted(found, key=lambda line: line.at):
        by_saga[line.saga].append(line)
    return dict(by_saga)


def customers(log: Path) -> tuple[dict[str, Wanted], list[str]]:
    """What was asked for, acknowledged and shown; and what broke in the customers."""
    wanted: dict[str, Wanted] = {}
    broke: list[str] = []
    for text in log.read_text().splitlines():
        event: dict[str, Any] = json.loads(text)
        key = event["key"]
        match event["what"]:
            case "asked":
                wanted[key] = Wanted(event["name"], event["refuse"])
            case "started":
                wanted[key].acknowledged = True
            case "cancelling":
                wanted[key].cancelled = True
            case "shown":
                wanted[key].shown.append(Shown(event["at"], event["word"]))
            case _:
                broke.append(str(event))
    return wanted, broke


def sagas(url: str) -> dict[str, Ended]:
    """How each saga stands, by its key."""
    with psycopg.connect(url) as connection:
        return {row[1]: Ended(*row) for row in connection.execute(SAGAS.encode())}

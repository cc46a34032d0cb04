"""A service's ledger as a client reads it: typed, frozen, oldest first."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class BookedEffect:
    """One effect. `delivered`: whether the reply of the request that made it reached its client. `at`: epoch seconds."""

    id: str
    at: float
    kind: str
    reference: str
    key: str | None
    undoes: str | None
    detail: dict[str, Any]
    delivered: bool


@dataclass(frozen=True, slots=True)
class BookedRefusal:
    """One definite refusal."""

    at: float
    operation: str
    reference: str
    key: str | None
    code: str
    delivered: bool


@dataclass(frozen=True, slots=True)
class BookedRequest:
    """One request that came in. `trouble`: the fault that it met. `status` is None where no reply was delivered."""

    id: int
    at: float
    operation: str
    reference: str
    key: str | None
    nth: int
    trouble: str | None
    status: int | None
    delivered: bool


@dataclass(frozen=True, slots=True)
class Book:
    """A service's ledger as it was when read."""

    effects: tuple[BookedEffect, ...]
    refusals: tuple[BookedRefusal, ...]
    requests: tuple[BookedRequest, ...]

    def of(self, kind: str, order: str | None = None) -> list[BookedEffect]:
        """The effects of a kind, for one order if named, oldest first."""
        return [e for e in self.effects if e.kind == kind and order in (None, e.reference)]

    def arrivals(self, operation: str, order: str | None = None) -> list[BookedRequest]:
        """The requests of an operation, for one order if named, oldest first."""
        return [r for r in self.requests if r.operation == operation and order in (None, r.reference)]


def read_book(raw: Mapping[str, list[dict[str, Any]]]) -> Book:
    """A book from what `/admin/ledger` answers. SQLite's columns are the fields; it has no booleans and no objects."""
    effects = [
        {**row, "delivered": bool(row["delivered"]), "detail": json.loads(row["detail"])}
        for row in raw["effects"]
    ]
    refusals = [{**row, "delivered": bool(row["delivered"])} for row in raw["refusals"]]
    requests = [{**row, "delivered": bool(row["delivered"])} for row in raw["requests"]]
    return _BOOK.validate_python({"effects": effects, "refusals": refusals, "requests": requests})


_BOOK = TypeAdapter(Book)

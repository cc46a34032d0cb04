"""Parameters that hold one value a row, as the text of a Postgres array.

Rules that hold here: a statement casts each of them, so that no type is sent along; a text is always quoted, which needs no look at
what is in it: psycopg's own lists look at each element, and were a tenth of what a saga cost its worker.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

import psycopg
from psycopg.adapt import Dumper


class Column(list[Any]):
    """The values of one column; all of one type, or None."""


class ColumnDumper(Dumper):
    """For psycopg's connections: `connection.adapters.register_dumper(Column, ColumnDumper)`."""

    def dump(self, obj: Column) -> bytes:
        """The array as text.

        Raises:
            psycopg.DataError: a text holds the character NUL, which would end it.
            UnicodeEncodeError: a text holds half of a surrogate pair.
        """
        first: object = next((value for value in obj if value is not None), None)
        if first is None:
            return b"{" + b",".join([b"NULL"] * len(obj)) + b"}"
        write = _WRITERS.get(type(first), _quoted)
        return ("{" + ",".join(["NULL" if value is None else write(value) for value in obj]) + "}").encode()


def _quoted(value: str) -> str:
    if "\0" in value:
        raise psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


_WRITERS: dict[type, Callable[[Any], str]] = {
    str: _quoted, UUID: attrgetter("hex"), bool: str, int: str, float: repr, datetime: datetime.isoformat,
}  # fmt: skip

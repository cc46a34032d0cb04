"""What tables are made of: times, and CHECKs whose words are those of an enum."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from sqlalchemy import CheckConstraint, Column, DateTime, text


def one_of(column: str, values: type[StrEnum], *, nullable: bool = False) -> CheckConstraint:
    """The CHECK that a column holds one of these words."""
    rule = f"{column} IN ({quoted(values)})"
    return CheckConstraint(f"{column} IS NULL OR {rule}" if nullable else rule, name=f"{column}_known")


def when(name: str, *, nullable: bool = True, now: bool = False) -> Column[object]:
    """A time with its zone. now: by default the transaction's begin."""
    default = text("now()") if now else None
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=default)


def quoted(values: Iterable[StrEnum]) -> str:
    """The words as SQL lists them."""
    return ", ".join(f"'{v.value}'" for v in values)

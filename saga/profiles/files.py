"""Profiles: what a service promises, in a TOML file with the source that says so and the day it was read.

Rules that hold here: a field that no profile has is refused, because a misspelt promise would be a default
that nobody chose; what a source leaves open is listed as undecided, and whoever uses the profile must say it;
an old profile is used, and warned about, since a provider may have changed its mind.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable
from os import PathLike
from pathlib import Path
from typing import Any

from saga.errors import DefinitionError

FORMAT = 1
"""The only format of the file so far."""
STALE_AFTER = dt.timedelta(days=365)
"""How old the reading of a source may be before it is pointed out."""

_HEAD = {"profile": int, "title": str, "source": str, "date": dt.date}
_PROMISES: dict[str, type | tuple[type, ...]] = {
    "remembers": str,
    "stores": list,
    "key_lifetime": str,
    "key_length": int,
    "key_scope": str,
    "lateness": str,
    "staleness": str,
    "mismatch": list,
    "in_progress": list,
    "conflict": list,
    "sheds": list,
    "replays_5xx": bool,
    "voids_by_key": bool,
}
_WORDS = {
    int: "a number",
    str: "a text",
    dt.date: "a date like 2026-11-24",
    list: "a list",
    bool: "true or false",
}


@dataclass(frozen=True, slots=True)
class Profile:
    """What one service promises.

    name: of the file. title: of the API. source: where its documentation says it. date: when that was read.
    promises: by the names of `saga.Service`. undecided: what must be said by whoever uses it, and why.
    notes: what else there is to know, for people.
    """

    name: str
    title: str
    source: str
    date: dt.date
    promises: Mapping[str, Any]
    undecided: Mapping[str, str] = field(default_factory=dict[str, str])
    notes: tuple[str, ...] = ()

    def stale(self, today: dt.date | None = None) -> str | None:
        """A sentence, if the source was read too long ago to be relied upon; else None."""
        # A day more or less, by whatever zone, is nothing to a year.
        age = (today or dt.date.today()) - self.date  # noqa: DTZ011
        if age <= STALE_AFTER:
            return None
        return (
            f"profile {self.name} was read from {self.source} on {self.date}, {age.days} days ago: read it "
            "again, and keep a profile of your own with the new date (Service.from_file)"
        )


def shipped() -> list[str]:
    """The names of the profiles that come with the engine."""
    return sorted(one.name.removesuffix(".toml") for one in _data().iterdir() if one.name.endswith(".toml"))


def load(name: str) -> Profile:
    """A shipped profile.

    Raises:
        DefinitionError: there is none of this name; the sentence lists those that there are.
    """
    if name not in shipped():
        raise DefinitionError([f"there is no profile {name!r}: there are {', '.join(shipped())}"])
    return parsed(name, _data().joinpath(f"{name}.toml").read_text("utf-8"))


def read(path: str | PathLike[str]) -> Profile:
    """A profile of one's own.

    Raises:
        DefinitionError: it cannot be read, or is no profile.
    """
    where = Path(path)
    try:
        text = where.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DefinitionError([f"profile {where.name} cannot be read: {error}"]) from None
    return parsed(where.stem, text)


def parsed(name: str, text: str) -> Profile:
    """The profile in a file's text.

    Raises:
        DefinitionError: it is none; says everything that is wrong with it at once.
    """
    try:
        found: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DefinitionError([f"profile {name} is no TOML: {error}"]) from None
    promises, undecided = found.get("promises", {}), found.get("undecided", {})
    problems = _problems(found, promises, undecided)
    if problems:
        raise DefinitionError([f"profile {name}: {one}" for one in problems])
    return Profile(
        name=name,
        title=found["title"],
        source=found["source"],
        date=found["date"],
        promises=promises,
        undecided=undecided,
        notes=tuple(found.get("notes", [])),
    )


def _data() -> Traversable:
    return resources.files("saga.profiles").joinpath("data")


def _problems(found: dict[str, Any], promises: Any, undecided: Any) -> list[str]:
    head = {key: value for key, value in found.items() if key not in {"promises", "undecided", "notes"}}
    wrong = [f"{name} is missing" for name in _HEAD if name not in found] + _unfit(head, _HEAD)
    if "profile" in found and found["profile"] != FORMAT:
        wrong.append(f"profile = {found['profile']!r} is no format that is known: write profile = {FORMAT}")
    if not _all_texts(found.get("notes", [])):
        wrong.append("notes must be a list of texts")
    for table, values in (("promises", promises), ("undecided", undecided)):
        if not isinstance(values, dict):
            wrong.append(f"{table} must be a table")
            return wrong
    wrong += _unfit(promises, _PROMISES)
    wrong += _unfit(undecided, dict.fromkeys(_PROMISES, str))
    wrong += [f"{name} is both promised and undecided: keep one" for name in promises if name in undecided]
    return wrong


def _unfit(given: Mapping[str, Any], known: Mapping[str, Any]) -> list[str]:
    """The fields that nobody knows, and those of another type."""
    wrong: list[str] = []
    for name, value in given.items():
        if name not in known:
            wrong.append(f"{name} is no field of a profile: there are {', '.join(known)}")
        elif type(value) is not known[name]:
            wrong.append(f"{name} must be {_WORDS[known[name]]}, not {value!r}")
    return wrong


def _all_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)  # pyright: ignore[reportUnknownVariableType]

"""What a service's replies mean beyond RFC 9110, and which of them it keeps under an idempotency key.

Rules that hold here: a reply that no sign fits means nothing more (S2); of several signs that fit, the most
particular one counts: a word in the body before a status, a status before a range of them; a refusal speaks
for earlier attempts only where it is known to be kept (S4, S17).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum

from saga.core.model import Kept

_SIGN = re.compile(r"(?:(?P<range>[1-5])xx|(?P<status>[1-5]\d\d))(?: (?P<word>\S{1,100}))?")
_SUCCESS = range(200, 300)
_SERVER_ERROR = 500


class Meaning(StrEnum):
    """What a reply says beyond its status."""

    NOTHING = "nothing"
    """No sign fits: what the status proves for every service is all there is."""
    MISMATCH = "mismatch"
    """The key is known with another request (S19)."""
    IN_PROGRESS = "in progress"
    """A request under the key is being worked on (S18)."""
    CONFLICT = "conflict"
    """A final no: what was asked conflicts with how things stand."""
    SHED = "shed"
    """Turned away before anything was executed."""


@dataclass(frozen=True, slots=True)
class Sign:
    """Replies of a status, or of a range of them, that bear a word in their body, if one is given."""

    first: int
    last: int
    word: str = ""

    @classmethod
    def parse(cls, text: object) -> Sign:
        """`409`, "409", "5xx" or "400 idempotency_error" as a sign.

        Raises:
            ValueError: it is none of these; the message shows what one looks like.
        """
        found = _SIGN.fullmatch(str(text).strip()) if isinstance(text, int | str) else None
        if found is None or isinstance(text, bool):
            raise ValueError(f'{text!r} is no status: write it like 409, "5xx" or "400 idempotency_error"')
        word = found["word"] or ""
        if found["range"]:
            first = int(found["range"]) * 100
            return cls(first, first + 99, word)
        return cls(int(found["status"]), int(found["status"]), word)

    def fits(self, status: int, words: AbstractSet[str]) -> bool:
        """Whether a reply of this status, with these words in its body, bears the sign."""
        return self.first <= status <= self.last and (not self.word or self.word in words)

    @property
    def breadth(self) -> tuple[bool, int]:
        """What orders signs, the most particular first."""
        return (not self.word, self.last - self.first)

    def __str__(self) -> str:
        status = str(self.first) if self.first == self.last else f"{self.first // 100}xx"
        return f"{status} {self.word}" if self.word else status


@dataclass(frozen=True, slots=True)
class Replies:
    """What a service says with which reply (source: its documentation).

    stores: the replies that it keeps under the key; None where it does not list them. mismatch, in_progress,
    conflict, sheds: the replies of each `Meaning`.
    """

    stores: tuple[Sign, ...] | None = None
    mismatch: tuple[Sign, ...] = ()
    in_progress: tuple[Sign, ...] = ()
    conflict: tuple[Sign, ...] = ()
    sheds: tuple[Sign, ...] = ()

    def meaning(self, status: int, words: AbstractSet[str]) -> Meaning:
        """What a reply of this status, with these words in its body, means here."""
        fitting = [
            (sign.breadth, order, meaning)
            for order, (meaning, signs) in enumerate(self._meanings())
            for sign in signs
            if sign.fits(status, words)
        ]
        return min(fitting)[2] if fitting else Meaning.NOTHING

    def kept(self, status: int | None) -> Kept:
        """Whether a refusal with this status is kept under the key; None is a status that nobody told.

        A service that lists what it keeps, keeps nothing else: a refusal of which the status is not known
        speaks for its own attempt alone.
        """
        if self.stores is None:
            return Kept.BY_PROMISE
        told = status is not None and any(sign.fits(status, frozenset()) for sign in self.stores)
        return Kept.YES if told else Kept.NO

    @property
    def stores_errors(self) -> bool:
        """Whether an error of the service is among the replies that it keeps."""
        return any(sign.last >= _SERVER_ERROR for sign in self.stores or ())

    @property
    def stores_refusals(self) -> bool:
        """Whether anything but a success is among the replies that it keeps."""
        return any(not _is_success(sign) for sign in self.stores or ())

    def problems(self) -> list[str]:
        """Every sign that cannot mean what it is listed for, as sentences."""
        found = [
            f"stores lists {sign}: a reply is kept or not by its status, so drop the word"
            for sign in self.stores or ()
            if sign.word
        ]
        listed: dict[Sign, Meaning] = {}
        for meaning, signs in self._meanings():
            for sign in signs:
                if _is_success(sign):
                    found.append(f"{sign} cannot mean {meaning}: it is a success")
                other = listed.setdefault(sign, meaning)
                if other is not meaning:
                    found.append(f"{sign} is listed as {other} and as {meaning}: keep one")
        return found

    def _meanings(self) -> Iterable[tuple[Meaning, tuple[Sign, ...]]]:
        yield Meaning.MISMATCH, self.mismatch
        yield Meaning.IN_PROGRESS, self.in_progress
        yield Meaning.CONFLICT, self.conflict
        yield Meaning.SHED, self.sheds


def _is_success(sign: Sign) -> bool:
    return sign.first in _SUCCESS and sign.last in _SUCCESS

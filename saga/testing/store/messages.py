"""What goes between a client and its backend: requests, replies, and what the server says unasked.

Rules that hold here: a request is what a client sends up to one sync, a single statement or a whole pipeline; a reply
has one answer for each of its statements, in order. What is not delivered does not exist for the other side.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg
from psycopg import errors

if TYPE_CHECKING:
    from saga.testing.store.rows import Row
    from saga.testing.store.transactions import Transaction

Values: TypeAlias = dict[str, Any]
"""A row's columns, or a statement's parameters, by name. A row's are never changed in place."""
Line: TypeAlias = tuple[Any, ...]
"""One row of an answer."""


class Tag(Enum):
    """The first word of a statement that frames, and of what the server answers to any."""

    BEGIN = auto()
    COMMIT = auto()
    ROLLBACK = auto()
    SET = auto()
    LISTEN = auto()
    SELECT = auto()
    INSERT = auto()
    UPDATE = auto()
    DELETE = auto()


class Refusal(Exception):
    """An error of the server. `sqlstate` None: the connection ended without a word."""

    def __init__(self, sqlstate: str | None, message: str) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate

    def raised(self) -> psycopg.Error:
        """The same as psycopg raises it."""
        if self.sqlstate is None:
            return psycopg.OperationalError(str(self))
        try:
            made: psycopg.Error = errors.lookup(self.sqlstate)(str(self))
        except KeyError:
            made = psycopg.DatabaseError(str(self))
        return made


@dataclass(frozen=True, slots=True)
class Notice:
    """A warning of the server, as a notice handler is given it."""

    sqlstate: str
    message_primary: str
    severity: str = "WARNING"


@dataclass(frozen=True, slots=True)
class Notification:
    """What NOTIFY tells a listener."""

    channel: str
    payload: str
    pid: int


class Result:
    """A statement's answer: its lines, where it gives any, and how many rows it was. count: -1 where none is said."""

    __slots__ = ("count", "lines", "tag")

    def __init__(self, tag: Tag, count: int = -1, lines: list[Line] | None = None) -> None:
        self.tag = tag
        self.count = count
        self.lines = lines

    @property
    def status(self) -> str:
        """As `statusmessage` says it."""
        if self.count < 0:
            return self.tag.name
        between = " 0 " if self.tag is Tag.INSERT else " "
        return f"{self.tag.name}{between}{self.count}"


@dataclass(frozen=True, slots=True)
class Pause:
    """A statement lets others run for so many seconds of virtual time; 0: for a turn."""

    seconds: float


Wait: TypeAlias = "Row | Pause"
"""What a statement stops for: a row that another transaction has, or a pause that a hook asked for."""
Course: TypeAlias = Generator[Wait, None, Result]
"""A statement on its way."""
Run: TypeAlias = "Callable[[Transaction, Values], Result | Course]"


@dataclass(frozen=True, slots=True)
class Model:
    """How one statement is carried out. `names`: the parameters that its text holds."""

    name: str
    run: Run
    names: tuple[str, ...] = ()
    frames: Tag | None = None


class Command:
    """One statement of a request."""

    __slots__ = ("model", "values")

    def __init__(self, model: Model, values: Values) -> None:
        self.model = model
        self.values = values


class Request:
    """What a client sends. `sync` False: the rest of a pipeline is still to come, and the server waits for it."""

    __slots__ = ("commands", "sync")

    def __init__(self, commands: Sequence[Command], *, sync: bool = True) -> None:
        self.commands = commands
        self.sync = sync

    def split(self, at: int) -> tuple[Request, Request]:
        """The first `at` statements, and the rest: as a client sends them that stops in the middle."""
        return Request(self.commands[:at], sync=False), Request(self.commands[at:], sync=self.sync)

    def __repr__(self) -> str:
        return f"<Request {' · '.join(command.model.name for command in self.commands)}>"


class Block(Enum):
    """How a session stands between two requests."""

    IDLE = auto()
    OPEN = auto()
    FAILED = auto()


class Reply:
    """A request's answers, in order: a result, a refusal, or None for what was skipped behind one.

    block: how the session stands now. notices: warnings that came with it. ended: why there is no session any more.
    """

    __slots__ = ("answers", "block", "ended", "notices")

    def __init__(
        self,
        answers: list[Result | Refusal | None],
        block: Block,
        notices: tuple[Notice, ...] = (),
        ended: Refusal | None = None,
    ) -> None:
        self.answers = answers
        self.block = block
        self.notices = notices
        self.ended = ended


def selected(lines: list[Line]) -> Result:
    """The answer of a SELECT."""
    return Result(Tag.SELECT, len(lines), lines)


def written(tag: Tag, count: int) -> Result:
    """The answer of a write that returns nothing."""
    return Result(tag, count)


def returned(tag: Tag, lines: list[Line]) -> Result:
    """The answer of a write that returns a line for each row."""
    return Result(tag, len(lines), lines)

"""Which function stands for which statement: found by the statement's bound text, and by nothing else.

Rules that hold here: a model is written for one text, whose digest stands beside it; a statement whose text has changed
since is refused until somebody has looked at its model again. What nobody has modelled is an error that names it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from saga.store.sql import Statement, statements
from saga.testing.store.messages import Model, Result, Run, Tag, Values
from saga.testing.store.transactions import Transaction


class UnknownStatement(LookupError):
    """A statement without a model; the sentence names it."""


@dataclass(frozen=True, slots=True)
class Written:
    """A model, and the digest of the text for which it was written."""

    statement: Statement
    digest: str
    run: Run


_written: dict[Statement, Written] = {}


def models(statement: Statement, digest: str) -> Callable[[Run], Run]:
    """Make a function the model of a statement. digest: `digest_of(statement)` when it was written."""

    def keep(run: Run) -> Run:
        assert statement not in _written, f"{statement.name} has a model already"
        _written[statement] = Written(statement, digest, run)
        return run

    return keep


def digest_of(statement: Statement) -> str:
    """Eight hexadecimal digits that change with the statement's text."""
    return hashlib.sha256(statement.text.encode()).hexdigest()[:8]


def written() -> list[Written]:
    """Every model, in the order in which they were loaded."""
    return list(_written.values())


@cache
def known(schema: str) -> dict[bytes | str, Model]:
    """The models by the text that production sends for this schema. It is made once, and read by every database."""
    found: dict[bytes | str, Model] = {}
    for model in _written.values():
        names = tuple(dict.fromkeys(re.findall(r"%\((\w+)\)s", model.statement.text)))
        made = Model(model.statement.name, model.run, names)
        text = model.statement.on(schema)
        found[text] = found[text.encode()] = made
    for word in (Tag.BEGIN.name, Tag.COMMIT.name, Tag.ROLLBACK.name):
        found[word] = found[word.encode()] = frame(word)
    return found


def _never(_: Transaction, __: Values) -> Result:
    raise AssertionError("a session carries out what frames by itself")


def _limit_locks(milliseconds: int) -> Run:
    def limit(transaction: Transaction, _: Values) -> Result:
        if transaction.explicit:  # outside of a transaction it holds for nothing
            transaction.lock_ms = milliseconds
        return Result(Tag.SET)

    return limit


def frame(text: bytes | str) -> Model:
    """The model of what frames: BEGIN, COMMIT, ROLLBACK, LISTEN, and the reaper's limit on locks.

    Raises:
        UnknownStatement: it is none of those.
    """
    words = (text if isinstance(text, str) else text.decode()).split()
    match words:
        case [word] if word in {Tag.BEGIN.name, Tag.COMMIT.name, Tag.ROLLBACK.name}:
            return Model(word.lower(), _never, frames=Tag[word])
        case [Tag.LISTEN.name, channel]:
            return _listening(channel.strip('"').replace('""', '"'))
        case [Tag.SET.name, "LOCAL", "lock_timeout", "=", number] if number.isdigit():
            return Model("lock_timeout", _limit_locks(int(number)))
        case _:
            raise UnknownStatement(f"the model of the store does not know this statement: {_named(text)}")


def _listening(channel: str) -> Model:
    def listen(transaction: Transaction, _: Values) -> Result:
        transaction.session.listens[channel] = None
        return Result(Tag.LISTEN)

    return Model("listen", listen)


def _named(text: bytes | str) -> str:
    """A statement's name, where it is one of production's; else its first words."""
    sent = text if isinstance(text, str) else text.decode()
    for statement in statements():
        if sent in statement.bound.values():
            return f"{statement.name} (add a model to saga/testing/store/models)"
    return " ".join(sent.split()[:8])

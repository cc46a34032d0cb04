"""The words of a barrier: which side, which state, what a key holds, and what is raised.

Rules that hold here: a committed state is what everybody is answered with, for ever; the text of each member
is the text in the table, and the CHECKs are made from it; a request is compared by its hash and never kept.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic_core import to_jsonable_python

from saga.errors import Refused, SagaError

KEY_CHARACTERS = 255
"""The longest key: an index entry must hold it, and no provider takes longer ones."""


class Side(StrEnum):
    """Which of the two effects under one forward key."""

    ACTION = "action"
    """The forward step. Its row is inserted first by both sides, so that one of them decides."""
    COMPENSATION = "compensation"
    """What undoes it."""


class State(StrEnum):
    """What a row says. Inserted by whoever came first, and final as soon as it is not `started`."""

    STARTED = "started"
    """The work began. Seen by others only where work and row do not share a transaction: nobody else knows."""
    DONE = "done"
    """The work was committed, together with this row where they share a transaction."""
    REFUSED = "refused"
    """A final no: the work was rolled back, and then this was stored."""
    FENCED = "fenced"
    """Only of an action: it never ran and never will. From a compensation or a question that came first."""
    SKIPPED = "skipped"
    """Only of a compensation: there was nothing to undo."""


class BarrierError(SagaError):
    """The base of what a barrier raises on purpose."""


class KeyFenced(BarrierError):
    """The key was fenced before the action came: it did not run, and it never will."""

    def __init__(self, key: str) -> None:
        super().__init__(f"key {key} is fenced: this action never ran and never will")


class RequestMismatch(BarrierError):
    """The key was used with another request: something ran under it, and it was not this."""

    def __init__(self, key: str) -> None:
        super().__init__(f"key {key} was used with another request: a new request needs a new key")


class InProgress(BarrierError):
    """Another request holds the key and has not ended: nothing is known yet. Ask again later."""

    def __init__(self, key: str) -> None:
        super().__init__(f"key {key} is held by a request that has not ended: ask again later")


@dataclass(frozen=True, slots=True)
class Claim:
    """Who comes with a key. key: of the forward effect, on both sides. request_hash: None compares nothing."""

    key: str
    side: Side = Side.ACTION
    name: str = ""
    request_hash: str | None = None

    def __post_init__(self) -> None:
        """Refuse what the table could not hold."""
        if not 0 < len(self.key) <= KEY_CHARACTERS or "\x00" in self.key:
            raise BarrierError(f"a key has 1 to {KEY_CHARACTERS} characters, none of them NUL")


@dataclass(frozen=True, slots=True)
class Record:
    """What a key holds on one side. result: as JSON gave it back. reply: of a middleware, else None."""

    key: str
    side: Side
    state: State
    request_hash: str | None = None
    result: Any = None
    reply: dict[str, Any] | None = None

    def answer(self) -> Any:
        """The result that was kept; None of a compensation that had nothing to undo.

        Raises:
            saga.Refused: the stored refusal, the same every time.
            KeyFenced: the action never ran and never will.
            InProgress: its work has not ended, or nobody can tell how it ended.
        """
        match self.state:
            case State.DONE | State.SKIPPED:
                return self.result
            case State.REFUSED:
                raise Refused(str(self.result["code"]), str(self.result["message"]), rule="barrier")
            case State.FENCED:
                raise KeyFenced(self.key)
            case State.STARTED:
                raise InProgress(self.key)


def hash_of(name: str, request: object) -> str | None:
    """The hash by which two requests under one key are told apart; None where nothing is to be compared.

    Args:
        name: of the operation, so that one key for two operations is a mismatch.
        request: bytes, or anything that pydantic turns into JSON; None says that nothing is compared.

    Raises:
        pydantic_core.PydanticSerializationError: it has no JSON.
    """
    if request is None:
        return None
    digest = hashlib.sha256()
    body = request if isinstance(request, bytes) else encoded(request, sort_keys=True).encode()
    for part in (name.encode(), body):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def encoded(value: object, *, sort_keys: bool = False) -> str:
    """The value as JSON text. Raises ValueError for NaN and infinity, which JSON does not have."""
    plain = to_jsonable_python(value, inf_nan_mode="constants")
    return json.dumps(plain, sort_keys=sort_keys, allow_nan=False, separators=(",", ":"))

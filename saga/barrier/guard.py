"""`Guard`: the block around the work, for `with` and `async with` alike; `Held`: what is known inside it.

Rules that hold here: the block is a savepoint, so that an exception leaves neither work nor row even where
the caller goes on with the transaction (a Session's unwritten objects are its own to expunge); the row
becomes final as the block's last statement; what decides is in `saga.barrier.rules`.
"""

from __future__ import annotations

import contextlib
from typing import Any

from saga.barrier import rules
from saga.barrier.records import Claim, Record, State, encoded
from saga.barrier.rules import Entered
from saga.barrier.seam import drive, drive_async, flush, flush_async

LARGEST = 1024 * 1024
"""The largest result or reply that is kept, in bytes."""


class Held:
    """A key inside its block.

    mine: whether the work is to be done; else there is an answer already. action: in a compensation, what
    the action left. record: what the key holds; after the block it is what is committed, if the transaction is.
    """

    def __init__(self, entered: Entered) -> None:
        """Made by a guard."""
        self.mine = entered.mine
        self.record = entered.record
        self.action = entered.action
        self.kept: str | None = None
        self.reply: str | None = None

    @property
    def fenced(self) -> bool:
        """Whether the action never ran and never will."""
        return self.record.state is State.FENCED

    @property
    def done(self) -> bool:
        """Whether the work was done before; `answer()` gives what it gave then."""
        return not self.mine and self.record.state in (State.DONE, State.SKIPPED)

    def keep(self, result: object) -> None:
        """Keep the result of the work under the key: what every later request is answered with.

        Args:
            result: anything that pydantic turns into JSON, of at most 1 MiB.

        Raises:
            ValueError: it is larger, or has no JSON.
            RuntimeError: the work is not ours to do.
        """
        if not self.mine:
            raise RuntimeError("nothing to keep: the key was settled before, look at `mine` first")
        text = encoded(result)
        if len(text) > LARGEST:
            raise ValueError(f"a result of {len(text)} bytes is more than the {LARGEST} that are kept")
        self.kept = text

    def answer(self) -> Any:
        """The result, kept now or before. After the block.

        Raises:
            saga.Refused, KeyFenced, InProgress: as `Record.answer`.
        """
        return self.record.answer()


class Guard:
    """The block. Made by `Barrier.action` and `Barrier.compensation`; entered once."""

    def __init__(self, connection: object, schema: str, claim: Claim, wait_ms: int | None) -> None:
        self._connection = connection
        self._schema = schema
        self._claim = claim
        self._wait_ms = wait_ms
        self._entered: Entered | None = None
        self._held: Held | None = None

    def __enter__(self) -> Held:
        """Find out whose the work is, over a sync connection.

        Raises:
            RequestMismatch, InProgress: see `Barrier.action`.
        """
        return self._open(drive(self._connection, self._schema, rules.enter(self._claim, self._wait_ms)))

    async def __aenter__(self) -> Held:
        """Find out whose the work is.

        Raises:
            RequestMismatch, InProgress: see `Barrier.action`.
        """
        steps = rules.enter(self._claim, self._wait_ms)
        return self._open(await drive_async(self._connection, self._schema, steps))

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """Make the row final, or undo the block; the exception goes on."""
        steps = self._closing(error)
        if steps is None:
            return
        with contextlib.suppress(Exception) if error is not None else contextlib.nullcontext():
            if error is None:
                flush(self._connection)
            self._close(drive(self._connection, self._schema, steps))

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """Make the row final, or undo the block; the exception goes on."""
        steps = self._closing(error)
        if steps is None:
            return
        # A connection that broke undoes by itself, and the exception that says why must not be covered.
        with contextlib.suppress(Exception) if error is not None else contextlib.nullcontext():
            if error is None:
                await flush_async(self._connection)
            self._close(await drive_async(self._connection, self._schema, steps))

    def _open(self, entered: Entered) -> Held:
        self._entered = entered
        self._held = Held(entered)
        return self._held

    def _closing(self, error: BaseException | None) -> rules.Steps[Record | None] | None:
        assert self._entered is not None, "a guard is entered before it is left"
        assert self._held is not None, "as above"
        if not self._entered.mine:
            return None
        if error is not None:
            return rules.undo()
        return rules.leave(self._entered, State.DONE, self._held.kept, self._held.reply)

    def _close(self, record: Record | None) -> None:
        if record is not None and self._held is not None:
            self._held.record = record

"""`Signal`: what somebody tells a saga while it runs, such as an approval, and how its function waits for that.

Rules that hold here: a signal is a module-level object with a name and a class of payloads; a payload is checked when it is
sent; each is given to one wait, the oldest to the first, whether it came before the wait began or after.
"""

from __future__ import annotations

from functools import cached_property
from typing import Generic, TypeVar

from saga.calls import Wait
from saga.core.durations import Duration
from saga.core.model import MomentKind
from saga.moments import running, seconds_of
from saga.values import Typed, named

T = TypeVar("T")


class Signal(Generic[T]):
    """A signal of this name: `approval = Signal("approval", Approval)`.

    A saga function waits with `await approval.wait(timeout="4h")`; whoever has a handle on the saga sends with
    `await handle.send(approval, Approval(granted=True))`.

    name: what it is stored and sent under; keep it when the object is renamed. payload: the class of what is sent.
    """

    def __init__(self, name: str, payload: type[T]) -> None:
        self.name = name
        self.payload = payload

    def wait(self, timeout: Duration | None = None) -> Wait[T]:
        """Wait until the signal is sent; its payload. The saga leaves memory, as when it sleeps.

        A signal that was sent before is taken at once. Two waits never get the same.

        Args:
            timeout: from when it is awaited; None waits for as long as the saga lives.

        Raises:
            SignalTimeout: when it is awaited, and nobody has sent it in time. It turns the saga backward unless it is caught.
            RuntimeError: no saga is running here, or the signal is not among its saga's.
            ValueError: no duration, a negative one, or one that is too long.
        """
        flow = running(f"{self.name}.wait", "handle.send to send it")
        seconds = None if timeout is None else seconds_of(timeout, "the wait for a signal")
        call: Wait[T] = Wait(flow.identify(self.name), flow, MomentKind.SIGNAL, seconds, signal=self)
        flow.created(call)
        return call

    @cached_property
    def typed(self) -> Typed[T]:
        """The class of its payloads, and its way to JSON text and back."""
        return Typed(self.payload)

    def encode(self, payload: T) -> str:
        """The payload as canonical JSON text.

        Raises:
            InputError: it has the wrong shape or cannot be stored; the message is pydantic's.
        """
        with named(f"payload of signal {self.name}"):
            return self.typed.encode(payload)

    def read(self, text: str) -> T:
        """The payload in JSON text that a person or another program wrote.

        Raises:
            InputError: it is no JSON, or has the wrong shape; the message is pydantic's.
        """
        with named(f"payload of signal {self.name}"):
            return self.typed.read(text)

    def decode(self, text: str) -> T:
        """The stored payload. Raises ValueError when its class has changed since."""
        return self.typed.decode(text)

    def __repr__(self) -> str:
        return f"<signal {self.name}>"

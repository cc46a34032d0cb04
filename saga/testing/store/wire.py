"""The way between a client's connection and its session: where messages are late, lost, or cut off.

Rule that holds here: a wire moves messages and never reads or changes what they say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias

from saga.testing.store.messages import Notification, Refusal, Reply, Request
from saga.testing.store.timers import Timers

if TYPE_CHECKING:
    from saga.testing.store.session import Session

Unasked: TypeAlias = Notification | Refusal
"""What the server says unasked: a notification, or why it has ended the session."""


class Wire(Protocol):
    """Carries requests to a session and replies to its client.

    Lose a request: do not run it. Lose a reply: run it, and deliver nothing. Break the connection: call the
    connection's `lose` for the client, and the session's `vanish` when the server notices.
    """

    def send(self, session: Session, request: Request, deliver: Callable[[Reply], None]) -> None:
        """Bring a request to `session.run`, and what that replies to `deliver`."""
        ...

    def cancel(self, session: Session) -> None:
        """Bring the client's wish to stop the running statement to `session.cancel`."""
        ...

    def close(self, session: Session) -> None:
        """Bring the client's goodbye to `session.vanish`."""
        ...

    def push(self, said: Unasked, deliver: Callable[[Unasked], None]) -> None:
        """Bring what the server says unasked to `deliver`."""
        ...


class Direct:
    """Requests arrive at once, replies with the next turn of time."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers

    def send(self, session: Session, request: Request, deliver: Callable[[Reply], None]) -> None:
        """Run it now, and deliver the reply in the next turn, so that a client always waits."""
        session.run(request, lambda reply: self._later(lambda: deliver(reply)))

    def cancel(self, session: Session) -> None:
        """At once."""
        session.cancel()

    def close(self, session: Session) -> None:
        """At once."""
        session.vanish()

    def push(self, said: Unasked, deliver: Callable[[Unasked], None]) -> None:
        """In the next turn."""
        self._later(lambda: deliver(said))

    def _later(self, callback: Callable[[], None]) -> None:
        self._timers.later(0.0, callback)

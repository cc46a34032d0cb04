"""The moments of one saga as they are recorded and as its function asks for them, whoever drives it.

Rules that hold here: what is recorded is given back, and what is not is new; the end of a wait is numbered among the ends of
effects; a signal that was taken is there for no other wait; nothing here writes, waits or ends anything by itself.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from saga.core.model import DRAWN, MomentKind
from saga.ids import uuid7
from saga.ports import random_share
from saga.store.sagas import Recorded
from saga.store.signals import SignalRow
from saga_worker.book import Book
from saga_worker.flow import Waiting

EVER = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True, eq=False)
class LiveMoment:
    """One moment. due: by the database's clock; None while its commit is under way. seconds: from that commit.

    value: JSON text of what was drawn. name, signal, payload: of a signal, what is waited for and what came.

    unsaved: no unit has carried it yet. unwritten: it has ended, and no unit has carried that yet.
    """

    identity: str
    kind: MomentKind
    position: int
    seconds: float | None = None
    due: datetime | None = None
    value: str | None = None
    name: str = ""
    signal: UUID | None = None
    payload: str | None = None
    completion: int | None = None
    unsaved: bool = False
    unwritten: bool = False


class Recalled:
    """All moments of one saga. now: the database's time."""

    def __init__(self, effects: Book, now: Callable[[], datetime]) -> None:
        """None: `load` reads what is recorded."""
        self._effects = effects
        self._now = now
        self._waits: dict[str, LiveMoment] = {}
        self._draws: dict[str, LiveMoment] = {}
        self._fresh: list[LiveMoment] = []
        self._latest = EVER
        self._sent: dict[UUID, SignalRow] = {}

    def __iter__(self) -> Iterator[LiveMoment]:
        """Every moment."""
        return itertools.chain(self._waits.values(), self._draws.values())

    @property
    def ends(self) -> Iterable[LiveMoment]:
        """Those that end; a value is there from the beginning."""
        return self._waits.values()

    def get(self, identity: str) -> LiveMoment | None:
        """The moment, or None."""
        return self._waits.get(identity) or self._draws.get(identity)

    def load(self, recorded: Recorded) -> None:
        """Take up what is recorded."""
        self._sent = {signal.id: signal for signal in recorded.signals}
        for row in recorded.moments:
            moment = LiveMoment(
                row.step, row.kind, row.position, due=row.due_at, value=row.value,
                name=_name(row.step), signal=row.signal, completion=row.completion,
            )  # fmt: skip
            if row.signal is not None:  # taken: no other wait gets it
                moment.payload = self._sent.pop(row.signal).payload
            self._keep(moment)
            if row.completion is not None:
                self._effects.numbered(row.completion, row.step)
            if moment.kind is MomentKind.NOW:
                self._latest = max(self._latest, datetime.fromisoformat(json.loads(moment.value or "")))

    def _keep(self, moment: LiveMoment) -> None:
        (self._draws if moment.kind in DRAWN else self._waits)[moment.identity] = moment

    def draw(self, identity: str, kind: MomentKind, position: int) -> object:
        """What was drawn there before, or is drawn now, as JSON says it."""
        moment = self._draws.get(identity)
        if moment is None:
            value = json.dumps(self._drawn(kind))
            moment = LiveMoment(identity, kind, position, value=value, unsaved=True)
            self._keep(moment)
            self._fresh.append(moment)
        return json.loads(moment.value or "")

    def _drawn(self, kind: MomentKind) -> object:
        match kind:
            case MomentKind.NOW:  # the worker that was here before may have been a little ahead
                self._latest = max(self._latest, self._now())
                return self._latest.isoformat()
            case MomentKind.UUID:
                return str(uuid7())
            case MomentKind.RANDOM:
                return random_share()
            case MomentKind.SLEEP | MomentKind.SIGNAL:
                raise AssertionError(f"a {kind} is awaited")

    def begin(self, waiting: Iterable[Waiting]) -> None:
        """The function waits for these; those that are recorded are known."""
        for one in waiting:
            call = one.call
            if call.identity not in self._waits:
                moment = LiveMoment(
                    call.identity, call.kind, one.position, seconds=call.seconds, unsaved=True,
                    name=_name(call.identity),
                )  # fmt: skip
                self._keep(moment)
                self._fresh.append(moment)

    def end_next(self) -> bool:
        """Number the wait that was over first; whether one is over by now. Here nothing ends that has not."""
        return False

    def open(self) -> list[LiveMoment]:
        """What the function waits for, by position."""
        return sorted((m for m in self.ends if m.completion is None), key=lambda m: m.position)

    def forget_fresh(self) -> None:
        """The function has ended, and no effect has followed from these: nothing was written, nothing is."""
        for moment in self._fresh:
            (self._draws if moment.kind in DRAWN else self._waits).pop(moment.identity)
        self._fresh.clear()


def _name(identity: str) -> str:
    """The signal in an identity such as "2/approval#1"."""
    return identity.rpartition("/")[2].partition("#")[0]

"""What the model is about, as one value: the database, two workers, the wire and the service.

Rules that hold here: nothing is kept that no rule looks at, because every field multiplies the states; times are
reduced to one bit an effect, `quiet`: whether every deadline and the lateness of all its attempts have passed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

STEPS = 2
"""Effects 0 and 1 are the steps, effect `step + STEPS` is the compensation of `step`."""
EFFECTS = 2 * STEPS
NAMES = ("A", "B", "undo of A", "undo of B")
MOST_ATTEMPTS = 2
NOBODY = -1
WORKERS = (0, 1)


class Remembers(StrEnum):
    """What the service keeps under a key."""

    ALL = "all"
    SUCCESSES = "successes"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Profile:
    """What the steps can rely on. person: whether somebody settles what is parked. faults: in one run, at most."""

    remembers: Remembers
    can_probe: bool
    person: bool = False
    faults: int = 2

    @property
    def dedups(self) -> bool:
        """Whether a success is kept under the key."""
        return self.remembers is not Remembers.NOTHING

    @property
    def name(self) -> str:
        """As the page calls it."""
        asked = "probe" if self.can_probe else "no probe"
        return f"remembers {self.remembers}, {asked}" + (", a person" if self.person else "")


class Row(NamedTuple):
    """One effect's evidence.

    outs: each attempt's outcome: u(nknown), s(ucceeded), r(efused), n(ot executed). reads: what probes said since the
    newest attempt: nothing yet, e(arly not found), 1 or 2 quiet not founds, L(anded), R(efused).
    """

    outs: str = ""
    reads: str = ""


class Memory(NamedTuple):
    """A saga as its row tells it, or as a worker remembers it."""

    back: bool = False
    plan: tuple[int, ...] = ()
    cancel: bool = False
    rows: tuple[Row, ...] = (Row(),) * EFFECTS


class Saga(NamedTuple):
    """The saga's row and its effects' rows. status: ready, running, parked, completed, compensated."""

    status: str = "ready"
    owner: int = NOBODY
    kept: Memory = Memory()


class Unit(NamedTuple):
    """What one batch writes: intent, turn, rest, park, completed, compensated. after: the memory that goes with it."""

    kind: str
    after: Memory
    effect: int = 0


class Worker(NamedTuple):
    """One process. row: its lease is in the database. doing: down, idle, deciding, armed, late, calling, unsure.

    armed: the intent is known to be durable, the call not yet made. late: armed, and the budget is spent.
    unsure: the reply to a COMMIT was lost; `landed` says what nobody has told the worker.
    """

    row: bool = True
    doing: str = "idle"
    effect: int = 0
    attempt: int = 0
    memory: Memory | None = None
    unit: Unit | None = None
    landed: bool = False


class Request(NamedTuple):
    """A request on its way. listener: the worker that still has the call open."""

    effect: int
    attempt: int
    listener: int


class Ghost(NamedTuple):
    """A batch whose COMMIT is still somewhere between the worker and the disk. again: it was written again since."""

    worker: int
    unit: Unit
    again: bool = False


class World(NamedTuple):
    """Everything at one moment. breach: the promise about an act (not a state) that an act has broken."""

    saga: Saga = Saga()
    workers: tuple[Worker, ...] = (Worker(), Worker())
    wire: tuple[Request, ...] = ()
    applied: tuple[int, ...] = (0,) * EFFECTS
    stored: str = "-" * EFFECTS
    quiet: tuple[bool, ...] = (False,) * EFFECTS
    ghost: Ghost | None = None
    faults: int = 0
    breach: str = ""

    def worker(self, who: int, worker: Worker) -> World:
        """The same with another state of one worker."""
        return self._replace(workers=(worker, self.workers[1]) if who == 0 else (self.workers[0], worker))

    def holds(self, who: int) -> bool:
        """Whether the database takes the worker's writes: its row is there, and the saga is its own."""
        return self.workers[who].row and self.saga.owner == who

    def broken(self, promise: str) -> World:
        """An act has broken a promise."""
        return self._replace(breach=self.breach or promise)


def with_row(memory: Memory, effect: int, row: Row) -> Memory:
    """The same with another row of one effect."""
    return memory._replace(rows=(*memory.rows[:effect], row, *memory.rows[effect + 1 :]))


def with_outcome(row: Row, attempt: int, outcome: str) -> Row:
    """An attempt's outcome is learned; what is known already stays."""
    if len(row.outs) < attempt or row.outs[attempt - 1] != "u":
        return row
    return row._replace(outs=row.outs[: attempt - 1] + outcome + row.outs[attempt:])


def put(values: tuple[int, ...], at: int, value: int) -> tuple[int, ...]:
    """The same with another value in one place."""
    return (*values[:at], value, *values[at + 1 :])


def merged(stored: Row, written: Row) -> Row:
    """Evidence is only added to: what is stored and what is written, together."""
    if len(stored.outs) > len(written.outs):
        return stored
    if len(stored.outs) < len(written.outs):
        known = stored.outs.ljust(len(written.outs), "u")
        return Row(
            "".join(a if a != "u" else b for a, b in zip(known, written.outs, strict=True)), written.reads
        )
    outs = "".join(a if a != "u" else b for a, b in zip(stored.outs, written.outs, strict=True))
    return Row(outs, max(stored.reads, written.reads, key="e12RL".find) if stored.reads else written.reads)

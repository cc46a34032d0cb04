"""What a saga function may ask for besides its steps: to sleep, the time, a new id, a random number.

Rules that hold here: like a step's, an identity is fixed at the call; a saga that sleeps costs a row and nothing else; what is drawn (a time, an id, a number) is recorded with the first thing that could depend on
it, and is the same on every replay.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from saga.calls import Flow, Wait, running_flow
from saga.core.durations import Duration, parse, show
from saga.core.model import MomentKind

LONGEST = timedelta(days=3650)
"""A longer wait is a mistake, or a schedule."""


def sleep(duration: Duration) -> Wait[None]:
    """Wait so long, for days if need be; the saga leaves memory, and goes on where it was. `await saga.sleep("3d")`

    The time runs from when it is awaited, by the database's clock: when it ends is decided once, and kept through every
    restart. It ends never early; late, if no worker is there. A cancel, the saga's deadline and a sibling that fails end it.

    Args:
        duration: as `timedelta` or "10s", "5m", "24h", "7d"; at most ten years.

    Raises:
        RuntimeError: no saga is running here.
        ValueError: no duration, a negative one, or one that is too long.
    """
    flow, seconds = running("sleep", "asyncio.sleep"), seconds_of(duration, "a sleep")
    call: Wait[None] = Wait(flow.identify(MomentKind.SLEEP), flow, MomentKind.SLEEP, seconds)
    flow.created(call)
    return call


def now() -> datetime:
    """What time it is, in UTC, by the database's clock as this worker knows it: at most a round trip behind.

    Recorded once: a replay is given the same. Within a saga it never goes back.

    Raises:
        RuntimeError: no saga is running here.
    """
    return datetime.fromisoformat(running("now", "datetime.now(UTC)").draw(MomentKind.NOW))


def new_uuid() -> UUID:
    """A new id (UUIDv7: it sorts by time). Recorded once: a replay is given the same. No secret: it can be guessed.

    Raises:
        RuntimeError: no saga is running here.
    """
    return UUID(running("new_uuid", "uuid.uuid4()").draw(MomentKind.UUID))


def random() -> float:
    """A random number from 0 up to, and without, 1. Recorded once: a replay is given the same. Nothing for secrets.

    Raises:
        RuntimeError: no saga is running here.
    """
    return float(running("random", "random.random()").draw(MomentKind.RANDOM))


def running(what: str, instead: str) -> Flow:
    """The flow of the saga function that runs here.

    Raises:
        RuntimeError: there is none; the sentence says what to do.
    """
    flow = running_flow.get()
    if flow is None:
        raise RuntimeError(
            f"{what} was called outside a running saga: call it in a saga function; elsewhere use {instead}"
        )
    return flow


def seconds_of(duration: Duration, what: str) -> float:
    """How long a wait is.

    Raises:
        ValueError: it is none.
    """
    try:
        length = parse(duration)
    except OverflowError:
        length = LONGEST * 2
    if not timedelta(0) <= length <= LONGEST:
        raise ValueError(f"{what} lasts from 0 s to {show(LONGEST)}, not {duration!r}")
    return length.total_seconds()

"""`saga db purge`: delete what has ended long ago, and forget what is left of it.

Rules that hold here: as for every act, what will happen is said first, then asked, then done; without a terminal --yes must be said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

import typer

from saga.cli.acts import confirm
from saga.cli.desk import BecauseOption, DryRunOption, WhoOption, YesOption, at_desk, duration, require_reason
from saga.cli.exits import Usage
from saga.cli.output import Form, FormOption, emit_one
from saga.cli.target import DatabaseOption, SchemaOption, say
from saga.core.durations import show
from saga.core.model import ENDS, SagaStatus
from saga.operator import Operator, Purgeable
from saga.operator.retention import BATCH


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to purge, and why. age: of the ends; forget_age: of the tombstones; None: none of them."""

    age: timedelta | None
    forget_age: timedelta | None
    statuses: frozenset[SagaStatus]
    because: str


def purge(
    *,
    because: BecauseOption,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="DURATION", help="Ended for so long, such as 90d."),
    ] = None,
    forget: Annotated[
        str | None,
        typer.Option(
            "--forget-tombstones-older-than",
            metavar="DURATION",
            help="Purged for so long: their keys are free again, and a start under one runs anew.",
        ),
    ] = None,
    status: Annotated[
        list[SagaStatus] | None,
        typer.Option("--status", help="Only with these ends; may be repeated."),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="So many at the most.")] = None,
    batch: Annotated[
        int, typer.Option("--batch", min=1, max=100_000, help="So many in a transaction.")
    ] = BATCH,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    who: WhoOption = None,
    url: DatabaseOption = None,
    schema: SchemaOption = "saga",
    form: FormOption = Form.TABLE,
) -> None:
    """Delete what ended sagas did, said and were given; their keys stay taken. Never with an alarm or a late watch."""
    wanted = _wanted(older_than, forget, status, because)

    async def go(desk: Operator) -> dict[str, int]:
        found = await _look(desk, wanted)
        if dry_run or not any(found.values()):
            return found
        if not yes:
            confirm("purge?")
        return await _do(desk, wanted, limit, batch)

    record = at_desk(url, schema, None, go, who=who)
    done = "would be " if dry_run else ""
    lines = [] if wanted.age is None else [f"{_count(record['purged'], 'saga')} {done}purged"]
    lines += (
        [] if wanted.forget_age is None else [f"{_count(record['forgotten'], 'tombstone')} {done}forgotten"]
    )
    emit_one(form, {**record, "dry_run": dry_run}, "\n".join(lines))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _wanted(
    older_than: str | None, forget: str | None, status: list[SagaStatus] | None, because: str
) -> Wanted:
    """What was typed, if it can be meant.

    Raises:
        Usage: it cannot.
    """
    age, forget_age = duration("--older-than", older_than), duration("--forget-tombstones-older-than", forget)
    statuses = frozenset(status or ENDS)
    if age is None and forget_age is None:
        raise Usage("how old? give --older-than 90d, or --forget-tombstones-older-than 3650d")
    require_reason(because)
    if not statuses <= ENDS:
        raise Usage(f"--status: only what has ended is purged: {', '.join(sorted(ENDS))}")
    return Wanted(age, forget_age, statuses, because)


async def _look(desk: Operator, wanted: Wanted) -> dict[str, int]:
    """What would happen, said on stderr."""
    found: Sequence[Purgeable] = ()
    if wanted.age is not None:
        found = await desk.retention.purgeable(wanted.age, statuses=wanted.statuses)
    for one in found:
        say(
            f"  {one.count} {one.status}, the oldest {show(one.now - one.oldest)} ago: purged, their keys stay taken"
        )
    old = 0 if wanted.forget_age is None else await desk.retention.forgettable(wanted.forget_age)
    if old:
        say(
            f"  {old} tombstones: forgotten; a start under one of their keys runs anew, under the same idempotency keys"
        )
    return {"purged": sum(one.count for one in found), "forgotten": old}


async def _do(desk: Operator, wanted: Wanted, limit: int | None, batch: int) -> dict[str, int]:
    """Forgetting comes first, so that nothing is forgotten in the run that purged it."""
    purged = forgotten = 0
    if wanted.forget_age is not None:
        forgotten = await desk.retention.forget(
            wanted.forget_age, because=wanted.because, limit=limit, batch=batch
        )
    if wanted.age is not None:
        purged = await desk.retention.purge(
            wanted.age, because=wanted.because, statuses=wanted.statuses, limit=limit, batch=batch
        )
    return {"purged": purged, "forgotten": forgotten}

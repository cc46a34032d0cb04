"""`engine.operator(who).retention`: what has ended long ago is purged, and what is left of it forgotten, by age.

Rules that hold here: looking changes nothing; each batch is a transaction of its own, so that a run that breaks off has done what it
has said, and the next one goes on; nothing is purged while an alarm rings or a late watch is open.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from saga.core.durations import Duration, parse
from saga.core.model import ENDS, SagaStatus
from saga.errors import InputError
from saga.operator.words import plain
from saga.store import retention as store
from saga.store.retention import Order, Purgeable

if TYPE_CHECKING:
    from saga.engine import Engine

BATCH = 500
"""So many sagas go in one transaction."""
OLDEST = timedelta(days=36_500)
"""Ages beyond a century are a slip."""


class Retention:
    """What `who` may purge and forget. Audited under this name, one entry a batch."""

    def __init__(self, engine: Engine, who: str) -> None:
        self._engine = engine
        self._who = who

    async def purgeable(
        self, older_than: Duration, *, statuses: Collection[SagaStatus] = ENDS
    ) -> Sequence[Purgeable]:
        """What `purge` would take now, by its end. Reads every saga, and changes nothing."""
        order = Order(self._who, "", _age("older_than", older_than), _ended(statuses))
        async with self._engine.connection() as connection:
            return await store.purgeable(connection, self._engine.schema, order)

    async def purge(
        self,
        older_than: Duration,
        *,
        because: str,
        statuses: Collection[SagaStatus] = ENDS,
        limit: int | None = None,
        batch: int = BATCH,
    ) -> int:
        """Purge the sagas that have ended longer ago; how many.

        A saga's effects, evidence, moments, signals, input, output, tags and reasons are deleted. Its row stays as a tombstone: id, name, key, the hash of its
        input, its end and when. So a second start under its key gives the known end, and never a second run.

        Args:
            older_than: since their end.
            because: why; audited.
            statuses: with these ends only.
            limit: so many at the most; None for all.
            batch: so many in one transaction.

        Raises:
            InputError: an age, a number or a status that cannot be meant.
        """
        order = Order(self._who, plain("because", because), _age("older_than", older_than), _ended(statuses))
        schema = self._engine.schema
        done, after, last = 0, store.BEFORE_ALL, store.BEFORE_ALL
        async with self._engine.connection() as connection:
            while room := _room(done, limit, batch):
                if after == last:
                    end = await store.page_end(connection, schema, after)
                    if end is None:
                        break
                    last = end
                one = await store.purge(connection, schema, order, after=after, last=last, batch=room)
                done += one.count
                after = one.last if one.found == room else last
        return done

    async def forgettable(self, older_than: Duration) -> int:
        """How many tombstones `forget` would delete now."""
        async with self._engine.connection() as connection:
            return await store.forgettable(connection, self._engine.schema, _age("older_than", older_than))

    async def forget(
        self, older_than: Duration, *, because: str, limit: int | None = None, batch: int = BATCH
    ) -> int:
        """Delete the tombstones of what was purged longer ago; how many.

        Their keys are free from then on: a start under one of them runs anew, **under the same idempotency keys**. A service that
        still knows them answers as it did; one that has forgotten them does it again.

        Args:
            older_than: since they were purged.
            because: why; audited.
            limit: so many at the most; None for all.
            batch: so many in one transaction.

        Raises:
            InputError: an age or a number that cannot be meant.
        """
        order = Order(self._who, plain("because", because), _age("older_than", older_than), ())
        done = 0
        async with self._engine.connection() as connection:
            while room := _room(done, limit, batch):
                gone = await store.forget(connection, self._engine.schema, order, room)
                done += gone
                if gone < room:
                    break
        return done


def _age(what: str, said: Duration) -> timedelta:
    age = parse(said)
    if not timedelta(0) <= age <= OLDEST:
        raise InputError(f"{what} is negative, or more than {OLDEST.days} days: write an age such as 90d")
    return age


def _ended(statuses: Collection[SagaStatus]) -> tuple[SagaStatus, ...]:
    words = sorted(set(statuses))
    if not words or not ENDS.issuperset(words):
        raise InputError(f"only what has ended is purged: choose of {', '.join(sorted(ENDS))}")
    return tuple(words)


def _room(done: int, limit: int | None, batch: int) -> int:
    """How many the next transaction may take."""
    if batch < 1 or (limit is not None and limit < 1):
        raise InputError(f"batch={batch}, limit={limit}: both are numbers from 1 on")
    return batch if limit is None else min(batch, limit - done)

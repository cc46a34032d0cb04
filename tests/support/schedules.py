"""Schedules of statements for several sessions: drawn by a seed on the model, recorded, and run on any store.

Rules: a schedule is a list of statements with their values, so both stores are given the same; a session that waits is
given nothing. What Postgres itself leaves to the moment is drawn anew: who is the victim of a circle of waiting sessions,
and who comes first of two that one commit sets free, unless both queue for a row. What is drawn is `tests.support.draws`.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import Any

from saga.store.connections import Connection
from saga.store.sql import Statement
from tests.support.stores import (
    LONG_AGO,
    PATIENCE_S,
    Model,
    Picture,
    Seen,
    Store,
    a_saga,
    a_worker,
    an_effect,
    execute,
    picture,
    running,
    session,
)  # fmt: skip

SESSIONS = 3
DEADLOCK = "40P01"
QUEUE = frozenset(
    {"wake", "alarm", "reopen", "fence", "beat", "last_batch", "sagas", "outcomes", "next_intents", "act_lock",
     "act_apply", "act_abandon", "act_acknowledge"}
)  # fmt: skip
"""Statements that wait for the lock of one row."""


@dataclass(frozen=True)
class Move:
    """One statement of one session."""

    session: int
    what: Statement | str
    values: tuple[tuple[str, Any], ...] = ()

    @property
    def name(self) -> str:
        return self.what if isinstance(self.what, str) else self.what.name


Step = dict[int, Seen | None]
"""What sessions showed after a move; None: it waits."""


async def lay_out(store: Store) -> None:
    """Where each schedule begins: sagas in each state, two workers, one of them long silent."""
    await store.put("worker", a_worker(0))
    await store.put("worker", a_worker(1, beat=LONG_AGO))
    await store.put("saga", a_saga(0))
    await store.put("saga", running(1, 0))
    await store.put("saga", running(2, 1))
    await store.put("saga", a_saga(3, status="asleep"))
    await store.put(
        "saga", a_saga(4, status="parked", park_cause="in_doubt", park_reason="x", park_detail="{}")
    )
    await store.put("effect", an_effect(1))
    await store.put("effect", an_effect(2))


class Players:
    """The sessions of one run."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._connections: list[Connection] = []
        self._under_way: dict[int, asyncio.Task[Seen]] = {}
        self._moves: dict[int, Move] = {}

    async def open(self) -> None:
        self._connections = [await self._store.connect() for _ in range(SESSIONS)]

    def connection(self, n: int) -> Any:
        """A session's connection."""
        return self._connections[n]

    def free(self) -> list[int]:
        """The sessions that wait for nobody."""
        return [n for n in range(SESSIONS) if n not in self._under_way]

    async def play(self, move: Move) -> Step:
        """Make a move; what it showed, and what others showed that could go on because of it."""
        connection = self._connections[move.session]
        task = asyncio.create_task(execute(connection, move.what, **dict(move.values)))
        self._under_way[move.session] = task
        self._moves[move.session] = move
        await self._settle()
        shown: Step = {move.session: None}
        for n in sorted(self._under_way):
            if self._under_way[n].done():
                shown[n] = self._under_way.pop(n).result()
        return shown

    def left_to_the_moment(self) -> bool:
        """Whether two wait for one transaction otherwise than in a row's queue; for the model only."""
        holders: dict[int, int] = {}
        for n in self._under_way:
            holder = id(session(self._connections[n]).blocked_by)
            other = holders.setdefault(holder, n)
            if other != n and not {self._moves[n].name, self._moves[other].name} <= QUEUE:
                return True
        return False

    async def _settle(self) -> None:
        """Until each session is done or waits."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for _ in range(3):
                    await asyncio.sleep(0)
                left = [n for n, task in self._under_way.items() if not task.done()]
                if not left:
                    return
                if all(await self._store.waits([self._connections[n] for n in left])):
                    return  # nobody was on the way when it was asked who waits

    async def close(self) -> None:
        for task in self._under_way.values():
            task.cancel()  # asks the server to stop the statement
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)
        for connection in self._connections:
            await connection.close()


async def run(store: Store, moves: list[Move]) -> tuple[list[Step], Picture]:
    """Play a schedule from the beginning; what it showed, and what is committed before its sessions end."""
    await lay_out(store)
    players = Players(store)
    await players.open()
    shown = [await players.play(move) for move in moves]
    seen = await picture(store)
    await players.close()
    return shown, seen


@dataclass
class Stage:
    """The model in the middle of a schedule."""

    model: Model
    players: Players

    @classmethod
    async def at(cls, moves: list[Move]) -> Stage:
        """After these moves; circles are found at once."""
        model = Model()
        model.database.deadlock_s = 0.0
        await lay_out(model)
        players = Players(model)
        await players.open()
        for move in moves:
            await players.play(move)
        return cls(model, players)


async def record(seed: int, length: int) -> tuple[list[Move], list[Step], Picture]:
    """Draw a schedule, and what the model shows of it."""
    from tests.support.draws import draw

    chance = random.Random(seed)
    moves: list[Move] = []
    shown: list[Step] = []
    stage = await Stage.at(moves)
    while len(moves) < length:
        move = draw(chance, stage)
        step = await stage.players.play(move)
        dead = any(seen is not None and seen.sqlstate == DEADLOCK for seen in step.values())
        if dead or stage.players.left_to_the_moment():
            await stage.players.close()
            stage = await Stage.at(moves)
            continue
        moves.append(move)
        shown.append(step)
    seen = await picture(stage.model)
    await stage.players.close()
    return moves, shown, seen

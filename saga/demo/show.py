"""The show: a shop under fire, then the naive shop under the same fire, each audited by the services' ledgers.

Rules: everything runs in processes of its own, on loopback, on ports that the system chooses, with its files in the
directory of a temporary Postgres that a watchdog removes. The ledgers are read when the services have come to rest
and every customer has looked once more: an effect that lands after an answer is found, too.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from saga.demo.audit import PROCESSING, WORDS, Findings, audit
from saga.demo.customers import Customers, ShopBroke, shopping_list
from saga.demo.example import orders, processes
from saga.demo.killer import Killer
from saga.demo.progress import Progress
from saga.demo.report import Outcome
from saga.demo.stage import ShowFailed, Stage, naive_stage, saga_stage
from saga.dev.embedded import temporary
from saga.store.migrate import upgrade

ORDERS_PER_SECOND = 22
SHORTEST_SEASON = 8.0  # seconds
STILL_WAIT = 60.0  # seconds after the last arrival; who has no final answer by then keeps "processing"
TICK = 0.2


@dataclass(frozen=True, slots=True)
class Season:
    """Who buys what, over how many seconds they arrive, and how often a worker is killed meanwhile."""

    wanted: Sequence["orders.Order"]
    seconds: float
    seed: int
    kills: int


def perform(count: int, workers: int, seed: int, progress: Progress) -> Outcome:
    """Gives the whole show.

    Raises:
        ShowFailed: a process did not start or ended of itself; with the end of what it said.
        EmbeddedError: no Postgres could be had.
    """
    wanted, seconds = shopping_list(count, seed), max(SHORTEST_SEASON, count / ORDERS_PER_SECOND)
    progress.say("starting Postgres and migrating it")
    try:
        with temporary() as server:
            upgrade(server.url)
            place = server.directory / "demo"
            progress.say(f"starting inventory, payment, notification, the shop and {workers} workers")
            with saga_stage(place / "saga", seed, server.url, workers) as stage:
                season = Season(wanted, seconds, seed, kills=2 * workers)
                findings, kills = asyncio.run(_play(stage, season, progress))
            progress.say("the same orders and faults for the naive shop")
            with naive_stage(place / "naive", seed) as stage:
                naive, _ = asyncio.run(_play(stage, Season(wanted, seconds / 2, seed, kills=0), progress))
    except processes.DidNotStart as error:
        raise ShowFailed(str(error)) from error
    return Outcome(findings, naive, workers, kills, progress.seconds)


@dataclass(slots=True)
class _Play:
    """One shop's season as it is played."""

    stage: Stage
    season: Season
    customers: Customers
    killer: Killer
    progress: Progress

    async def watch(self, buying: asyncio.Task[None], killing: asyncio.Task[None]) -> None:
        """Until all have a final answer, or all that have none wait for a person, or the time is over."""
        over = time.monotonic() + self.season.seconds + STILL_WAIT
        while time.monotonic() < over and not buying.done():
            await asyncio.wait([buying], timeout=TICK)
            self.progress.show(self.line)
            if killing.done():
                killing.result()  # raises what it raised
            self.stage.check_the_crew()
            if 0 < self._without_answer() == len(await asyncio.to_thread(self.stage.parked)):
                return
        if buying.done():
            try:
                buying.result()
            except* ShopBroke as broken:
                said = self.stage.shop.last_words()
                raise ShowFailed(f"{broken.exceptions[0]}\n{said}") from broken

    def line(self) -> str:
        """What is to be seen now."""
        words = self.customers.words()
        counts = " · ".join(f"{word.replace('_', ' ')} {words[word]}" for word in WORDS)
        kills = f" · workers killed {self.killer.kills}" if self.season.kills else ""
        return f"orders {self.customers.placed}/{len(self.season.wanted)} · {counts}{kills}"

    def _without_answer(self) -> int:
        words = self.customers.words()
        return len(self.season.wanted) - sum(words[word] for word in WORDS if word != PROCESSING)


async def _play(stage: Stage, season: Season, progress: Progress) -> tuple[Findings, int]:
    """Sells until everybody has an answer, waits for rest, lets everybody look once more, and audits."""
    customers = Customers(stage.shop.url, season.wanted, season.seconds, season.seed)
    killer = Killer(stage.database, stage.crew, season.kills, season.seconds * 0.8, season.seed)
    play = _Play(stage, season, customers, killer, progress)
    buying = asyncio.create_task(customers.buy())
    killing = asyncio.create_task(killer.kill())
    try:
        await play.watch(buying, killing)
    finally:
        for task in (buying, killing):
            task.cancel()
        await asyncio.gather(buying, killing, return_exceptions=True)
    progress.say(play.line())
    await asyncio.to_thread(stage.dismiss_the_crew)
    await asyncio.to_thread(stage.come_to_rest)
    await customers.look_again()
    await customers.go_home()
    books, parked = stage.books(), stage.parked()
    return audit(books, customers.heard, [order.id for order in season.wanted], parked), killer.kills

"""Three hundred sagas under random faults and dying workers: every one ends, and every ledger is exact."""

from __future__ import annotations

import asyncio
import random

import pytest

from saga import Call, Engine, Pending, Retry, saga, together
from saga_worker import Worker
from tests.support import rows
from tests.support.fakes import Ledger, away, land, lose_reply, lose_request, make_step, refuse, service_of

SAGAS = 300
QUICK = Retry(attempts=4, first="1ms", most="5ms")


class Storm(Ledger):
    """A ledger whose service misbehaves at random; an undo is never refused, and a probe never lies."""

    chance = random.Random(11)

    async def act(self, name: str, call: Call, what: str) -> str:
        self.calls.append((name, call.key))
        undo = name.startswith("undo_")
        weights = [80, 6, 6, 0 if undo else 3, 5]
        (move,) = self.chance.choices([land, lose_reply, lose_request, refuse, away], weights)
        await asyncio.sleep(0)
        return await move(self, call, what)

    def ask(self, name: str, call: Call) -> object:
        match self.chance.randrange(20):
            case 0:
                raise ConnectionError("no answer")
            case 1:
                self.asked.append(name)
                return Pending(retry_after=0.01)
            case _:
                return super().ask(name, call)


bank, plain = Storm("all"), Storm("nothing")
old = service_of(plain)
charge = make_step(bank, "charge", retry=QUICK)
reserve = make_step(bank, "reserve", retry=QUICK)
book = make_step(plain, "book", retry=QUICK, timeout="300ms", service=old)


@saga("storm")
async def storm(order: str) -> list[str]:
    async def branch() -> str:
        await reserve(order)
        return await charge(order)

    done = list(await together(branch(), book(order)))
    return [*done, await charge(f"{order}/tip")]


@pytest.mark.timeout(90)
async def test_many_sagas_under_random_faults_end_with_exact_ledgers(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Confirmed: four effects, each once. Declined or try again: none stands. Nobody is parked, nobody hangs."""
    monkeypatch.setattr(old, "name", "plain")
    async with Engine(database_url, sagas=[storm]) as engine, asyncio.timeout(80):
        handles = [await engine.start(storm, f"o{n}", key=f"k{n}") for n in range(SAGAS)]
        async with Worker(engine, lease="3s") as steady:
            async with Worker(engine, lease="3s", drain_within="10ms"):
                await rows.until(engine.url, "k50", "finished_at IS NOT NULL", 60)
            await rows.change(engine.url, "DELETE FROM saga.worker")  # declared dead, and reborn
            views = [await handle.view(wait="60s") for handle in handles]
        assert len(steady.memory) == 0
        assert not steady.performer.bodies
    _check_ledgers(database_url, {view.key: str(view.status) for view in views})


def _check_ledgers(url: str, statuses: dict[str, str]) -> None:
    assert set(statuses.values()) <= {"confirmed", "declined", "try_again"}
    query = (
        "SELECT s.key AS saga, e.key, e.step FROM saga.effect e JOIN saga.saga s ON s.id = e.saga_id"
        " WHERE e.direction = 'forward'"
    )
    standing: dict[str, int] = dict.fromkeys(statuses, 0)
    for row in rows.select(url, query):
        ledger = plain if "book" in row["step"] else bank
        landed, undone = ledger.landed[row["key"]], ledger.undone[row["key"]]
        assert (landed, undone) in [(0, 0), (1, 0), (1, 1)], f"{row}: {landed} landed, {undone} undone"
        standing[row["saga"]] += landed - undone
    wrong = {
        key: (statuses[key], count)
        for key, count in standing.items()
        if count != (4 if statuses[key] == "confirmed" else 0)
    }
    assert wrong == {}
    assert {"confirmed", "declined"} <= set(statuses.values()), "the storm was strong enough for both ends"

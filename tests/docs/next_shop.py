"""Two releases of a shop, for the page about code changes: today's, the one that somebody wants to deploy, and the one that fits.

Rule: `engine` is what the page's commands check; `release` puts another one there, as a new checkout of the code would.
"""

from __future__ import annotations

from saga import Call, Engine, NotExecuted, Retry, Service, saga, step
from saga.definition import SagaDefinition

bank = Service("bank", remembers="all", key_lifetime="24h")


@step(bank, timeout="5s", undo="nothing")
async def reserve(call: Call, order: str) -> str:
    return order


@step(bank, timeout="5s", undo="nothing")
async def check_address(call: Call, order: str) -> str:
    return order


@step(bank, timeout="5s", undo="nothing", retry=Retry(attempts=9, first="1h", most="1h"))
async def charge(call: Call, order: str) -> str:
    raise NotExecuted("the bank opens at nine")


async def _today(order: str) -> str:
    await reserve(order)
    return await charge(order)


async def _tomorrow(order: str) -> str:
    await check_address(order)
    await reserve(order)
    return await charge(order)


def _engine(*sagas: SagaDefinition[str, str]) -> Engine:
    return Engine(sagas=sagas)


today = saga("checkout", version=1)(_today)
RELEASES = {
    "today": (today,),
    "tomorrow": (saga("checkout", version=1)(_tomorrow),),
    "beside": (today, saga("checkout", version=2)(_tomorrow)),
    "alone": (saga("checkout", version=2)(_tomorrow),),
}
engine = _engine(*RELEASES["today"])


def release(name: str) -> None:
    """Put another release where `engine` is."""
    globals()["engine"] = _engine(*RELEASES[name])

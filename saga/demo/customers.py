"""The customers: they place orders and look after them, over HTTP, as a browser would.

Rules: every answer that one gets is kept with the moment of its receipt; a customer looks until the answer is final.
An order that could not be placed is sent again under the same id, so a shop that is slow loses none.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from http import HTTPStatus
from random import Random

import httpx

from saga.demo.audit import PROCESSING, Heard
from saga.demo.example import orders

SOLD_OUT = 0.03  # the chance that an order is for something that is not there
CARDS = {orders.CARD_GOOD: 93, orders.CARD_DECLINED: 4, orders.CARD_WITHOUT_FUNDS: 3}  # of a hundred
FIRST_LOOK, SLOWER, LONGEST_PAUSE = 0.3, 1.4, 1.0  # seconds, a factor, seconds


def shopping_list(count: int, seed: int) -> list["orders.Order"]:
    """The orders of a seed: most can be had, some cards are refused, some articles are sold out."""
    dice = Random(f"orders/{seed}")
    wanted: list[orders.Order] = []
    for number in range(1, count + 1):
        sku = orders.SOLD_OUT if dice.random() < SOLD_OUT else f"sku-{dice.randint(1, 40)}"
        (card,) = dice.choices(list(CARDS), weights=list(CARDS.values()))
        total = Decimal(dice.randint(500, 20_000)) / 100
        email = f"customer-{number}@example.com"
        wanted.append(orders.Order(f"or-{number:04d}", sku, dice.randint(1, 3), card, total, email))
    return wanted


class ShopBroke(Exception):
    """The shop answered what a shop never should; the message has the answer."""


class Customers:
    """Everybody who buys in one shop."""

    def __init__(self, shop_url: str, wanted: Sequence["orders.Order"], seconds: float, seed: int) -> None:
        """`seconds`: over how long their arrivals are spread."""
        self.heard: list[Heard] = []
        self.placed = 0
        self._last: dict[str, str] = {}
        self._url, self._wanted, self._seconds = shop_url, wanted, seconds
        self._dice = Random(f"customers/{seed}")
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
        self._http = httpx.AsyncClient(timeout=30.0, trust_env=False, limits=limits)

    def words(self) -> Counter[str]:
        """How many customers heard which word last."""
        return Counter(self._last.values())

    async def buy(self) -> None:
        """Everybody arrives, orders, and looks until the answer is final. Cancel it to send them home."""
        async with asyncio.TaskGroup() as group:
            for number, order in enumerate(self._wanted):
                group.create_task(self._one(order, self._seconds * number / len(self._wanted)))

    async def look_again(self) -> None:
        """Everybody looks once more, whatever they heard."""
        for order in self._wanted:
            await self._look(order.id)

    async def go_home(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def _one(self, order: "orders.Order", arrives_after: float) -> None:
        await asyncio.sleep(arrives_after)
        await self._place(order)
        self.placed += 1
        pause = FIRST_LOOK
        while await self._look(order.id) == PROCESSING:
            await asyncio.sleep(pause * self._dice.uniform(0.8, 1.2))
            pause = min(pause * SLOWER, LONGEST_PAUSE)

    async def _place(self, order: "orders.Order") -> None:
        body = {
            "id": order.id,
            "sku": order.sku,
            "quantity": order.quantity,
            "card": order.card,
            "total": str(order.total),
            "email": order.email,
        }
        while True:
            try:
                reply = await self._http.post(f"{self._url}/orders", json=body)
            except httpx.HTTPError:
                await asyncio.sleep(FIRST_LOOK)
                continue
            if reply.status_code == HTTPStatus.ACCEPTED:
                return
            raise ShopBroke(f"the shop answered {reply.status_code} to an order: {reply.text[:500]}")

    async def _look(self, order: str) -> str:
        try:
            reply = await self._http.get(f"{self._url}/orders/{order}")
        except httpx.HTTPError:
            return PROCESSING  # no answer was got: nothing to keep, and the customer looks again
        if reply.status_code != HTTPStatus.OK:
            raise ShopBroke(f"the shop answered {reply.status_code} to a look at {order}: {reply.text[:500]}")
        word: str = reply.json()["status"]
        self.heard.append(Heard(order, time.time(), word))
        self._last[order] = word
        return word

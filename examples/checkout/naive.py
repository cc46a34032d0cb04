"""The same shop as it is commonly written: a timeout, three tries, and an apology. No saga.

It makes every call for real, over HTTP, against the same services. What it gets wrong is what most code gets wrong: a
call that timed out or broke is taken for one that did not happen. So it is sent again under a fresh key, or given up
with the stock released while the money is gone. Its state is in memory, as the audit needs its answers only.
"""

import argparse
import asyncio
import os
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import httpx
from fastapi import FastAPI, HTTPException

from .orders import Order
from .serving import add_arguments, place_of, serve

TRIES = 3
TIMEOUT = 0.8
PAUSE = 0.1


class Declined(Exception):
    """The service said no."""


class GaveUp(Exception):
    """Three tries, no success. Whether anything happened nobody asks."""


class NaiveShop:
    """Takes orders and works them off in tasks of its own."""

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}
        self._http = httpx.AsyncClient(timeout=TIMEOUT, trust_env=False)
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, order: Order) -> None:
        """Begins with an order; a second request for the same one changes nothing."""
        if order.id in self.answers:
            return
        self.answers[order.id] = "processing"
        task = asyncio.create_task(self._check_out(order))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def _check_out(self, order: Order) -> None:
        held: dict[str, Any] | None = None
        try:
            body: dict[str, Any] = {"order": order.id, "sku": order.sku, "quantity": order.quantity}
            held = await self._call("INVENTORY_URL", "/reservations", body)
            amount = {"order": order.id, "card": order.card, "amount": str(order.total)}
            await self._call("PAYMENT_URL", "/charges", amount)
        except (Declined, GaveUp) as failure:
            if held is not None:
                await self._release(order, held["id"])
            self.answers[order.id] = "declined" if isinstance(failure, Declined) else "try_again"
            return
        self.answers[order.id] = "confirmed"
        mail = {"order": order.id, "to": order.email, "subject": f"Thank you for order {order.id}"}
        try:
            await self._call("NOTIFICATION_URL", "/mails", mail)
        except GaveUp:
            return  # a mail more or less

    async def _release(self, order: Order, reservation: str) -> None:
        try:
            await self._call("INVENTORY_URL", "/releases", {"order": order.id, "reservation": reservation})
        except (Declined, GaveUp):
            return  # somebody will notice

    async def _call(self, service: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        for _ in range(TRIES):
            headers = {
                "Idempotency-Key": uuid.uuid4().hex
            }  # a new one a try: the mistake of most retry loops
            try:
                reply = await self._http.post(os.environ[service] + path, json=body, headers=headers)
            except httpx.HTTPError:
                await asyncio.sleep(PAUSE)
                continue
            if reply.status_code in (HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.UNPROCESSABLE_ENTITY):
                raise Declined
            if reply.is_success:
                answer: dict[str, Any] = reply.json()
                return answer
            await asyncio.sleep(PAUSE)
        raise GaveUp


shop = NaiveShop()


@asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncGenerator[None]:
    yield
    await shop.close()


app = FastAPI(title="The naive shop", lifespan=_lifespan)


@app.post("/orders", status_code=HTTPStatus.ACCEPTED)
async def place(order: Order) -> dict[str, str]:
    """Takes an order."""
    shop.take(order)
    return {"id": order.id, "status": shop.answers[order.id]}


@app.get("/orders/{order_id}")
async def look(order_id: str) -> dict[str, str]:
    """What became of it."""
    if order_id not in shop.answers:
        raise HTTPException(HTTPStatus.NOT_FOUND, "there is no such order")
    return {"id": order_id, "status": shop.answers[order_id]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The naive shop.")
    add_arguments(parser)
    serve(app, "naive", place_of(parser.parse_args()))

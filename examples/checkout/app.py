"""The shop: takes an order and starts its saga in one transaction, and tells the customer one of four words.

`saga worker run examples.checkout.app:engine` runs the sagas; `python -m examples.checkout.app` serves the shop.
The database is the one of `SAGA_DATABASE_URL`, for the shop's own table and for the engine.
"""

import argparse
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import cache
from http import HTTPStatus

from fastapi import FastAPI, HTTPException
from sqlalchemy import make_url
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from saga import Engine

from .orders import Order
from .sagas import checkout, checkout_on_account
from .serving import add_arguments, place_of, serve

engine = Engine(sagas=[checkout, checkout_on_account])


class Base(DeclarativeBase):
    """The shop's own tables."""


class OrderRow(Base):
    """An order as the shop keeps it. What became of it is the saga's to say."""

    __tablename__ = "shop_order"

    id: Mapped[str] = mapped_column(primary_key=True)
    sku: Mapped[str]
    quantity: Mapped[int]
    total: Mapped[Decimal]
    email: Mapped[str]


@cache
def database() -> AsyncEngine:
    """The connections to the shop's database."""
    url = make_url(os.environ["SAGA_DATABASE_URL"]).set(drivername="postgresql+psycopg")
    return create_async_engine(url, pool_size=10)


@asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncGenerator[None]:
    async with database().begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with engine:
        yield
    await database().dispose()


app = FastAPI(title="The shop", lifespan=_lifespan)


@app.post("/orders", status_code=HTTPStatus.ACCEPTED)
async def place(order: Order) -> dict[str, str]:
    """Takes an order: the row and its saga appear together, or not at all. Sent twice it is one order."""
    row = {
        "id": order.id,
        "sku": order.sku,
        "quantity": order.quantity,
        "total": order.total,
        "email": order.email,
    }
    async with AsyncSession(database()) as session, session.begin():
        await session.execute(insert(OrderRow).values(row).on_conflict_do_nothing())
        await engine.start(checkout, order, key=f"order:{order.id}", within=session)
    return {"id": order.id, "status": "processing"}


@app.get("/orders/{order_id}")
async def look(order_id: str) -> dict[str, str]:
    """What the customer sees: processing, confirmed, declined or try_again."""
    async with AsyncSession(database()) as session:
        if await session.get(OrderRow, order_id) is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, "there is no such order")
    view = await engine.handle(checkout, key=f"order:{order_id}").view()
    return {"id": order_id, "status": view.status}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The shop of the checkout example.")
    add_arguments(parser)
    serve(app, "shop", place_of(parser.parse_args()))

"""The warehouse: a service with its own Postgres, in which each request happens once.

Rules: every write goes through `current(request.scope).connection`, so that the work, the barrier's row and the stored
reply commit together. The handlers know nothing of keys, resends, fences or late requests.
`WAREHOUSE_DATABASE_URL` says which database; its tables are made at the start, as a migration would.
"""

import argparse
import os
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from http import HTTPStatus
from uuid import uuid4

from fastapi import FastAPI, Request
from pydantic import BaseModel
from sqlalchemy import Column, Integer, MetaData, Table, Text, delete, insert, make_url, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from examples.checkout.serving import add_arguments, place_of, serve
from saga import Refused
from saga.barrier import Barrier, table
from saga.barrier.asgi import BarrierMiddleware, current

from .trouble import Trouble

STOCKED = {"lamp": 10, "sofa": 1}
UNREACHABLE = "Atlantis"

tables = MetaData()
table(tables, schema="public")  # the barrier, in the service's own metadata: its migrations see it
stock = Table("stock", tables, Column("sku", Text, primary_key=True), Column("free", Integer, nullable=False))
reservation = Table(
    "reservation",
    tables,
    Column("id", Text, primary_key=True),
    Column("sku", Text, nullable=False),
    Column("quantity", Integer, nullable=False),
)
shipment = Table(
    "shipment", tables, Column("id", Text, primary_key=True), Column("town", Text, nullable=False)
)
barrier = Barrier(keeps="90d", wait="2s")


@cache
def database() -> AsyncEngine:
    """The connections to the warehouse's database."""
    url = make_url(os.environ["WAREHOUSE_DATABASE_URL"]).set(drivername="postgresql+psycopg")
    return create_async_engine(url, pool_size=5)


def begin() -> AbstractAsyncContextManager[AsyncConnection]:
    """One transaction."""
    return database().begin()


@asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncGenerator[None]:
    async with begin() as connection:
        await connection.run_sync(tables.create_all)
        await connection.execute(insert(stock), [{"sku": sku, "free": free} for sku, free in STOCKED.items()])
    yield
    await database().dispose()


app = FastAPI(title="The warehouse", lifespan=_lifespan)
app.add_middleware(BarrierMiddleware, barrier=barrier, begin=begin)


class Wanted(BaseModel):
    """What is to be reserved."""

    sku: str
    quantity: int


class Parcel(BaseModel):
    """Where a reservation is to go."""

    reservation: str
    town: str


@app.post("/reservations", status_code=HTTPStatus.CREATED)
async def reserve(wanted: Wanted, request: Request) -> dict[str, str | int]:
    """Takes it from the stock, or says no: a refusal is raised, rolls back, and is remembered."""
    here = current(request.scope)
    connection: AsyncConnection = here.connection
    enough = (stock.c.sku == wanted.sku) & (stock.c.free >= wanted.quantity)
    taken = await connection.execute(update(stock).where(enough).values(free=stock.c.free - wanted.quantity))
    if not taken.rowcount:
        raise Refused("sold_out", f"there are not {wanted.quantity} of {wanted.sku}")
    row: dict[str, str | int] = {"id": uuid4().hex, "sku": wanted.sku, "quantity": wanted.quantity}
    await connection.execute(insert(reservation).values(row))
    here.held.keep(row)  # what the release will find, and what the status route tells
    return row


@app.post("/releases")
async def release(wanted: Wanted, request: Request) -> None:
    """Puts it back. Reached only where there is something to put back: the barrier skips the rest."""
    here = current(request.scope)
    assert here.held.action is not None, "a compensation knows its action"
    connection: AsyncConnection = here.connection
    reserved: str = here.held.action.result["id"]
    gone = await connection.execute(delete(reservation).where(reservation.c.id == reserved))
    assert gone.rowcount == 1, "the barrier lets a release through once"
    more = stock.c.free + wanted.quantity
    await connection.execute(update(stock).where(stock.c.sku == wanted.sku).values(free=more))


@app.post("/shipments", status_code=HTTPStatus.CREATED)
async def ship(parcel: Parcel, request: Request) -> dict[str, str]:
    """Sends a parcel, where a road leads."""
    if parcel.town == UNREACHABLE:
        raise Refused("unreachable", f"no road leads to {parcel.town}")
    row = {"id": parcel.reservation, "town": parcel.town}
    await current(request.scope).connection.execute(insert(shipment).values(row))
    return row


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The warehouse of the example of one's own service.")
    add_arguments(parser)
    serve(Trouble(app), "warehouse", place_of(parser.parse_args()))

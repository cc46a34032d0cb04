"""The caller's side: two steps, and what becomes of them is asked with ready probes.

Rules: `headers(call)` names the forward key on both sides; the service remembers everything, refusals too, because it
has a barrier. `WAREHOUSE_URL` says where it is, and is read at the first call.
"""

import os
from dataclasses import asdict, dataclass

import httpx

from saga import Call, Retry, Service, saga, step
from saga.barrier.probe import action_status, classify, compensation_status, headers
from saga.http import client

warehouse = Service(
    "warehouse", remembers="all", key_lifetime="30d", lateness="10m", staleness="0s", classify=classify
)
http = client(lambda: os.environ["WAREHOUSE_URL"])
again = Retry(attempts=5, first="100ms", most="1s")


@dataclass(frozen=True, slots=True)
class Order:
    """What a customer wants, and where."""

    sku: str
    quantity: int
    town: str


@dataclass(frozen=True, slots=True)
class Reservation:
    """What the warehouse keeps aside."""

    id: str
    sku: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Shipment:
    """A parcel on its way."""

    id: str
    town: str


async def _post(path: str, call: Call, body: object) -> httpx.Response:
    return (await http.post(path, json=body, headers=headers(call))).raise_for_status()


@step(warehouse, timeout="1s", retry=again, settle_within="1m")
async def reserve(call: Call, sku: str, quantity: int) -> Reservation:
    """Keeps something aside."""
    reply = await _post("/reservations", call, {"sku": sku, "quantity": quantity})
    return Reservation(**reply.json())


reserve.status(action_status(http, Reservation))


@reserve.compensate
async def release(call: Call, reservation: Reservation, sku: str, quantity: int) -> None:
    """Puts it back."""
    del sku, quantity
    wanted = asdict(reservation)
    await _post("/releases", call, {"sku": wanted["sku"], "quantity": wanted["quantity"]})


release.status(compensation_status(http))


@step(warehouse, timeout="1s", retry=again, settle_within="1m", undo="nothing")
async def ship(call: Call, reservation: str, town: str) -> Shipment:
    """Sends it."""
    return Shipment(**(await _post("/shipments", call, {"reservation": reservation, "town": town})).json())


ship.status(action_status(http, Shipment))


@saga("order-furniture", version=1, deadline="10m")
async def order_furniture(order: Order) -> Shipment:
    """A parcel is on its way, or nothing is kept aside."""
    reserved = await reserve(order.sku, order.quantity)
    return await ship(reserved.id, order.town)

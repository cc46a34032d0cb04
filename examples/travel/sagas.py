"""The journey: a seat, a room and the money at once. What the airline and the hotel promise stands here.

The seat is held for minutes only, and so is the room; whoever charges last loses them. So the three calls go out side by
side, and any of them may be in doubt while another is refused: that is the disaster, and it needs no code here.
The card is charged by the step of the checkout, with its own way to ask and to undo.
"""

import os
import time
from http import HTTPStatus

import httpx

from examples.checkout.sagas import again, charge
from examples.travel.bookings import Booking, Held, Itinerary
from saga import Answer, Call, Engine, Landed, NotExecuted, NotFound, Refused, Service, saga, step, together
from saga.http import Client, classify, client

# Both drop what would land later than a second after its deadline, and answer by key from the ledger itself.
airline = Service(
    "airline", remembers="all", key_lifetime="7d", lateness="1s", staleness="0s", classify=classify
)
hotel = Service("hotel", remembers="all", key_lifetime="7d", lateness="1s", staleness="0s", classify=classify)

_airline = client(lambda: os.environ["AIRLINE_URL"])
_hotel = client(lambda: os.environ["HOTEL_URL"])


async def _post(http: Client, path: str, call: Call, body: dict[str, str]) -> httpx.Response:
    """Sends once. A 503 in the services' own format is proof that nothing was done, because they say so."""
    headers = {"Idempotency-Key": call.key, "Request-Deadline": str(time.time() + call.remaining())}
    reply = await http.post(path, json=body, headers=headers)
    if reply.status_code == HTTPStatus.SERVICE_UNAVAILABLE and reply.json()["error"]["code"] == "down":
        raise NotExecuted(reply.json()["error"]["message"])
    return reply.raise_for_status()


async def _book(http: Client, call: Call, trip: str, what: str) -> Held:
    reply = await _post(http, "/bookings", call, {"trip": trip, "what": what})
    return Held(reply.json()["id"], what)


async def _booked(http: Client, call: Call, what: str) -> Answer[Held]:
    """Both remember refusals too, so that one is an answer; 404 is none, for the request may be on its way."""
    reply = await http.get(f"/bookings/by-key/{call.key}")
    match reply.status_code:
        case HTTPStatus.NOT_FOUND:
            return NotFound()
        case HTTPStatus.UNPROCESSABLE_ENTITY:
            return Refused(reply.json()["error"]["code"], reply.json()["error"]["message"])
        case _:
            return Landed(Held(reply.raise_for_status().json()["id"], what))


async def _cancelled(http: Client, call: Call) -> Answer[None]:
    reply = await http.get(f"/cancellations/by-key/{call.key}")
    if reply.status_code == HTTPStatus.NOT_FOUND:
        return NotFound()
    reply.raise_for_status()
    return Landed(None)


@step(airline, timeout="800ms", retry=again, settle_within="1m")
async def book_seat(call: Call, trip: str, flight: str) -> Held:
    """A seat on the flight."""
    return await _book(_airline, call, trip, flight)


@book_seat.status
async def seat_status(call: Call, trip: str, flight: str) -> Answer[Held]:
    """What the airline has under the key."""
    del trip
    return await _booked(_airline, call, flight)


@book_seat.compensate
async def cancel_seat(call: Call, seat: Held, trip: str, flight: str) -> None:
    """Gives the seat back."""
    del flight
    await _post(_airline, "/cancellations", call, {"trip": trip, "booking": seat.id})


@cancel_seat.status
async def seat_cancelled(call: Call, *_: object, **__: object) -> Answer[None]:
    """Whether it was given back."""
    return await _cancelled(_airline, call)


@step(hotel, timeout="800ms", retry=again, settle_within="1m")
async def book_room(call: Call, trip: str, name: str) -> Held:
    """A room in the hotel."""
    return await _book(_hotel, call, trip, name)


@book_room.status
async def room_status(call: Call, trip: str, name: str) -> Answer[Held]:
    """What the hotel has under the key."""
    del trip
    return await _booked(_hotel, call, name)


@book_room.compensate
async def cancel_room(call: Call, room: Held, trip: str, name: str) -> None:
    """Gives the room back."""
    del name
    await _post(_hotel, "/cancellations", call, {"trip": trip, "booking": room.id})


@cancel_room.status
async def room_cancelled(call: Call, *_: object, **__: object) -> Answer[None]:
    """Whether it was given back."""
    return await _cancelled(_hotel, call)


@saga("trip", version=1, deadline="10m")
async def trip(booking: Booking) -> Itinerary:
    """A seat, a room and the money for both, or nothing of it stands."""
    seat, room, payment = await together(
        book_seat(booking.id, booking.flight),
        book_room(booking.id, booking.hotel),
        charge(booking.id, booking.card, booking.price),
    )
    return Itinerary(booking.id, seat.id, room.id, payment.id)


engine = Engine(sagas=[trip])

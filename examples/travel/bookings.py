"""The values that travel between the agency, its saga and the services. Nothing here does anything."""

from dataclasses import dataclass
from decimal import Decimal

FULLY_BOOKED = "fully-booked"
"""A flight, or a hotel, that has nothing left: booking it is refused, always."""


@dataclass(frozen=True, slots=True)
class Booking:
    """What a customer wants. `id` is the reference under which every service books."""

    id: str
    flight: str
    hotel: str
    card: str
    price: Decimal


@dataclass(frozen=True, slots=True)
class Held:
    """A seat or a room that is held for one trip."""

    id: str
    what: str


@dataclass(frozen=True, slots=True)
class Itinerary:
    """What the customer gets in the end."""

    trip: str
    seat: str
    room: str
    payment: str

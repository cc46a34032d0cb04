"""The values that travel between the app, its saga and the services; and what a ride costs where nobody says so."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Request:
    """A rider wants to be taken somewhere. `signal` is what the phone has just received, never the same twice."""

    id: str
    rider: str
    signal: str
    to: str
    km: Decimal


@dataclass(frozen=True, slots=True)
class Place:
    """Where the rider stands."""

    street: str


@dataclass(frozen=True, slots=True)
class Price:
    """What the ride costs; `estimated` where pricing has not said it."""

    amount: Decimal
    estimated: bool


@dataclass(frozen=True, slots=True)
class Driver:
    """Who comes. `id` is the match under which the driver is held for the ride."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Ride:
    """What the rider sees in the end."""

    place: Place
    price: Price
    driver: Driver


BASE, A_KM = Decimal("3.00"), Decimal("1.80")


def estimate(km: Decimal) -> Price:
    """What such a ride costs on an ordinary day."""
    return Price(BASE + A_KM * km, estimated=True)

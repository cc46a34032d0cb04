"""What goes wrong, told at the moments at which it does, and what must have come of it.

Rules: a moment is made with a gate or a fault of a service and never with a pause; the end is checked in the ledgers, and
a story whose end is another one fails.
"""

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal

from examples.checkout.orders import CARD_GOOD, CARD_WITHOUT_FUNDS
from examples.checkout.services.control import Fault, Point, ServiceProcess
from examples.travel.bookings import FULLY_BOOKED, Booking
from examples.travel.stage import Customer, Stage

CONFIRMED = ("processing", "confirmed")
DECLINED = ("processing", "declined")
PATIENCE = 20.0
"""Seconds for a moment to come; a slow machine needs some of them, and a story that went wrong all."""
NOTHING = dict.fromkeys(("seat", "cancel_seat", "room", "cancel_room", "charge", "refund"), 0)


class WentWrong(Exception):
    """A story ended as it must not."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a story ended: every word the customer saw, and what the ledgers hold."""

    story: str
    words: tuple[str, ...]
    ledgers: dict[str, int]


@dataclass(slots=True)
class Telling:
    """One story in the telling: prints each moment with its time, what the customer sees then, what the ledgers hold."""

    stage: Stage
    trip: str
    began: float = field(default_factory=time.monotonic)
    customer: Customer | None = None

    def book(self, *, hotel: str = "Hotel du Lac", card: str = CARD_GOOD) -> None:
        """The customer books a flight, a room, and pays."""
        booking = Booking(self.trip, flight="SG 42", hotel=hotel, card=card, price=Decimal("840.00"))
        self.began = time.monotonic()
        self.customer = self.stage.book(booking)

    def moment(self, what: str) -> None:
        """Something has happened: say it, and what everybody sees now."""
        assert self.customer is not None, "the customer books first"
        print(f"  {time.monotonic() - self.began:5.2f} s  {what}")
        print(f"           ledgers: {_in_words(self.stage.ledgers(self.trip))}")
        print(f"           the customer sees: {self.customer.look()}")

    def why(self) -> None:
        """What an operator is told at this moment."""
        print(f"           saga why: {self.stage.why(self.trip)}")

    def end(self, words: tuple[str, ...], ledgers: Mapping[str, int]) -> Ending:
        """Wait for the end, and compare it with what it must be.

        Raises:
            WentWrong: it is another one.
        """
        assert self.customer is not None, "the customer books first"
        self.customer.wait_for_the_end()
        self.moment("the end")
        ending = Ending(self.trip, self.customer.last_look(), self.stage.ledgers(self.trip))
        print(f"           all that the customer ever saw: {' → '.join(ending.words)}")
        if ending.words != words or ending.ledgers != {**NOTHING, **ledgers}:
            raise WentWrong(f"{self.trip}: expected {words} and {_in_words({**NOTHING, **ledgers})}")
        return ending


def the_reply_is_lost(stage: Stage) -> Ending:
    """The payment's reply is lost after it has charged."""
    story, payment = Telling(stage, "trip-1"), stage.services.payment
    payment.fault("charge", Fault.LOSE_REPLY)
    with _held(payment, "status:charge"):
        story.book()
        payment.wait_held("status:charge", within=PATIENCE)
        story.moment("the card was charged, the connection broke; the engine has not sent again, it asks")
        story.why()
    return story.end(CONFIRMED, {"seat": 1, "room": 1, "charge": 1})


def the_hotel_refuses_what_was_paid(stage: Stage) -> Ending:
    """The hotel is full, while seat and money are in doubt; both had landed."""
    story, services = Telling(stage, "trip-2"), stage.services
    services.airline.fault("seat", Fault.LOSE_REPLY)
    services.payment.fault("charge", Fault.LOSE_REPLY)
    with _held(services.airline, "status:seat"):
        with _held(services.payment, "status:charge"):
            story.book(hotel=FULLY_BOOKED)
            services.airline.wait_held("status:seat", within=PATIENCE)
            services.payment.wait_held("status:charge", within=PATIENCE)
            _wait_for_refusal(services.hotel, story.trip)
            story.moment("the hotel said no; seat and money are both in doubt, so nothing is undone")
        _until(lambda: "charge" not in stage.in_doubt(story.trip), "the charge is settled")
        story.moment("the charge is found; the seat is still in doubt, so nothing is undone")
    ending = story.end(DECLINED, {"seat": 1, "cancel_seat": 1, "charge": 1, "refund": 1})
    _require_settled_before_undone(stage, story.trip)
    return ending


def the_hotel_refuses_what_was_not_paid(stage: Stage) -> Ending:
    """The hotel is full, while the money is in doubt; none was taken, so none may be given back."""
    story, services = Telling(stage, "trip-3"), stage.services
    services.payment.fault("charge", Fault.LOSE_REQUEST)
    story.book(hotel=FULLY_BOOKED, card=CARD_WITHOUT_FUNDS)
    _wait_for_refusal(services.hotel, story.trip)
    _wait_for_refusal(services.payment, story.trip)
    story.moment(
        "the hotel said no; so did the bank, but to the second request: where the first one is, nobody knows"
    )
    story.why()
    ending = story.end(DECLINED, {"seat": 1, "cancel_seat": 1})
    _require_settled_before_undone(stage, story.trip)
    return ending


def the_worker_is_killed(stage: Stage) -> Ending:
    """The worker is killed with kill -9 between the charge and its reply."""
    story, payment = Telling(stage, "trip-4"), stage.services.payment
    with _held(payment, "charge", Point.AFTER):
        story.book()
        payment.wait_held("charge", Point.AFTER, within=PATIENCE)
        stage.worker_of(story.trip).kill()
        story.moment("the card was charged, and before it could be told of it the worker was killed")
        story.why()
    return story.end(CONFIRMED, {"seat": 1, "room": 1, "charge": 1})


STORIES: tuple[Callable[[Stage], Ending], ...] = (
    the_reply_is_lost,
    the_hotel_refuses_what_was_paid,
    the_hotel_refuses_what_was_not_paid,
    the_worker_is_killed,
)


@contextmanager
def _held(service: ServiceProcess, operation: str, point: Point = Point.BEFORE) -> Generator[None]:
    """Whatever comes for the operation is held there, until the end of the block."""
    service.close_gate(operation, point, count=50)
    try:
        yield
    finally:
        service.open_gate(operation, point)


def _wait_for_refusal(service: ServiceProcess, trip: str) -> None:
    _until(lambda: any(one.reference == trip for one in service.book().refusals), f"{service.name} refuses")


def _until(happened: Callable[[], bool], what: str) -> None:
    limit = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > limit:
            raise WentWrong(f"{what}: not within {PATIENCE:g} s")
        time.sleep(0.01)


def _require_settled_before_undone(stage: Stage, trip: str) -> None:
    """Every booking and every question about one came before the first undo.

    Raises:
        WentWrong: one did not.
    """
    arrived: dict[bool, list[float]] = {True: [], False: []}
    for service in (stage.services.airline, stage.services.hotel, stage.services.payment):
        for request in service.book().requests:
            if request.reference == trip:
                arrived["cancel" in request.operation or "refund" in request.operation].append(request.at)
    if max(arrived[False]) > min(arrived[True]):
        raise WentWrong(f"{trip}: something was undone while something was in doubt")


def _in_words(ledgers: Mapping[str, int]) -> str:
    return (
        ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in ledgers.items() if count)
        or "nothing"
    )

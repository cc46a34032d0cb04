"""What fails, and what the rider sees of it."""

import time
from collections.abc import Callable
from decimal import Decimal

from examples.checkout.services.control import Fault
from examples.ride.rides import Request, Ride
from examples.ride.sagas import ride
from examples.streaming.stage import Ending, Stage, down, require, say, slow

KINDS = {"match": "matching", "release": "matching"}
KM = Decimal(10)
QUOTED, ESTIMATED = Decimal("24.00"), Decimal("21.00")


def _order(stage: Stage, number: int, rider: str, signal: str) -> Ending[Ride]:
    """A rider orders a ride to the station."""
    began = time.monotonic()
    wanted = Request(f"ride-{number}", rider, signal, "the station", KM)
    seen = stage.run(ride, wanted, key=wanted.id, kinds=KINDS)
    lines = ["no ride this time: please try again"]
    if seen.result is not None:
        price = seen.result.price
        about = "about " if price.estimated else ""
        lines = [
            f"{rider}: {seen.result.driver.name} comes to {seen.result.place.street}, for {about}{price.amount}"
        ]
    say(began, seen, *lines)
    return seen


def _require_matched(seen: Ending[Ride], street: str, amount: Decimal, stage: Stage) -> None:
    """One driver, for this street and this price, and nobody was let go."""
    require(seen, seen.word == "confirmed" and seen.ledgers == {"match": 1, "release": 0}, "one driver comes")
    (booked,) = stage.services["matching"].book().of("match", seen.key)
    require(seen, booked.detail["street"] == street, f"the driver was matched for {street}")
    require(seen, seen.result is not None and seen.result.place.street == street, f"to {street}")
    require(seen, seen.result is not None and seen.result.price.amount == amount, f"for {amount}")


def _without(seen: Ending[Ride]) -> dict[str, bool]:
    """Which steps it did without, and whether a last good value took their place."""
    return {one.step: one.age is not None for one in seen.degraded}


def all_is_well(stage: Stage) -> None:
    """All is well."""
    seen = _order(stage, 1, "ann", "Mill Lane/8f31")
    _require_matched(seen, "Mill Lane", QUOTED, stage)
    require(seen, not seen.degraded, "nothing is missing")


def the_map_is_down(stage: Stage) -> None:
    """The map is killed with kill -9: the rider stands where it saw them last, and the match is made."""
    with down(stage.services["map"]):
        seen = _order(stage, 2, "ann", "??/77aa")
    _require_matched(seen, "Mill Lane", QUOTED, stage)
    require(seen, _without(seen) == {"locate#1": True}, "only the map is missing")


def the_map_never_saw_them(stage: Stage) -> None:
    """The map is down, and it never saw this rider: no place is made up, nobody is matched, nothing is left to undo."""
    with down(stage.services["map"]):
        seen = _order(stage, 3, "bob", "??/1c2d")
    require(seen, seen.word == "try_again" and not seen.degraded, "it is said plainly")
    require(seen, seen.ledgers == {"match": 0, "release": 0}, "matching was not touched")
    require(seen, not stage.services["matching"].book().arrivals("match", seen.key), "nor asked")


def pricing_is_slow(stage: Stage) -> None:
    """Pricing does not answer any more: the ride has an estimate."""
    with slow(stage.services["pricing"], "quote"):
        seen = _order(stage, 4, "bob", "High Street/04be")
    _require_matched(seen, "High Street", ESTIMATED, stage)
    require(seen, _without(seen) == {"quote#1": False}, "only the price is missing")


def everything_fails_at_once(stage: Stage) -> None:
    """The map is down, pricing is slow, and matching's answer is lost: asked about, and no second driver is sent."""
    matching = stage.services["matching"]
    matching.fault("match", Fault.LOSE_REPLY)
    with down(stage.services["map"]), slow(stage.services["pricing"], "quote"):
        seen = _order(stage, 5, "bob", "??/9d00")
    _require_matched(seen, "High Street", ESTIMATED, stage)
    require(seen, _without(seen) == {"locate#1": True, "quote#1": False}, "both fell back")
    (lost,) = matching.book().of("match", seen.key)
    require(seen, not lost.delivered, "the answer was lost")
    require(seen, bool(matching.book().arrivals("status:match", seen.key)), "matching was asked")


STORIES: tuple[Callable[[Stage], None], ...] = (
    all_is_well,
    the_map_is_down,
    the_map_never_saw_them,
    pricing_is_slow,
    everything_fails_at_once,
)

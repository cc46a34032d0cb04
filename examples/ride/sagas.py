"""The ride: what each service is to it, and what takes its place.

Without the map the rider stands where the map saw them last, if that was within fifteen minutes; without pricing the ride
has an estimate. The driver is matched by the real place or not at all, and once: matching is what is *done* here, is asked
about where its answer was lost, and is undone if the ride does not come about.
"""

import os
import time
from decimal import Decimal
from http import HTTPStatus

import httpx

from examples.ride.rides import Driver, Place, Price, Request, Ride, estimate
from saga import Answer, Call, Engine, Landed, NotExecuted, NotFound, Retry, Service, saga, step, together
from saga.http import classify, client

the_map = Service("map", classify=classify)
pricing = Service("pricing", classify=classify)
matching = Service(
    "matching", remembers="all", key_lifetime="7d", lateness="1s", staleness="0s", classify=classify
)

_map = client(lambda: os.environ["MAP_URL"])
_pricing = client(lambda: os.environ["PRICING_URL"])
_matching = client(lambda: os.environ["MATCHING_URL"])

soon = Retry(attempts=2, first="50ms")
"""A rider waits on the street: what does not come soon is done without."""


def _deadline(call: Call) -> dict[str, str]:
    return {"Request-Deadline": str(time.time() + call.remaining())}


def _shed(reply: httpx.Response) -> httpx.Response:
    """A 503 in the services' own format is proof that nothing was done, because they say so."""
    if reply.status_code == HTTPStatus.SERVICE_UNAVAILABLE and reply.json()["error"]["code"] == "down":
        raise NotExecuted(reply.json()["error"]["message"])
    return reply.raise_for_status()


@step(the_map, timeout="1s", reads=True, retry=soon)
async def locate(call: Call, rider: str, signal: str) -> Place:
    """Where the rider stands, by what the phone receives."""
    params = {"rider": rider, "signal": signal}
    return Place(_shed(await _map.get("/places", params=params, headers=_deadline(call))).json()["street"])


@step(pricing, timeout="1s", reads=True, retry=soon)
async def quote(call: Call, ride: str, km: Decimal) -> Price:
    """What the ride costs at this moment."""
    params = {"ride": ride, "km": str(km)}
    reply = _shed(await _pricing.get("/quotes", params=params, headers=_deadline(call)))
    return Price(Decimal(reply.json()["amount"]), estimated=False)


@step(matching, timeout="1s", settle_within="1m")
async def match(call: Call, ride: str, place: Place) -> Driver:
    """A driver near the place, held for this ride."""
    headers = {"Idempotency-Key": call.key, **_deadline(call)}
    reply = _shed(
        await _matching.post("/matches", json={"ride": ride, "street": place.street}, headers=headers)
    )
    return Driver(reply.json()["id"], reply.json()["driver"])


@match.status
async def match_status(call: Call, ride: str, place: Place) -> Answer[Driver]:
    """What matching has under the key."""
    del ride, place
    reply = await _matching.get(f"/matches/by-key/{call.key}")
    if reply.status_code == HTTPStatus.NOT_FOUND:
        return NotFound()
    found = reply.raise_for_status().json()
    return Landed(Driver(found["id"], found["driver"]))


@match.compensate
async def release(call: Call, driver: Driver, ride: str, place: Place) -> None:
    """Lets the driver go."""
    del place
    headers = {"Idempotency-Key": call.key, **_deadline(call)}
    _shed(await _matching.post("/releases", json={"ride": ride, "match": driver.id}, headers=headers))


@release.status
async def release_status(call: Call, *_: object, **__: object) -> Answer[None]:
    """Whether the driver was let go."""
    reply = await _matching.get(f"/releases/by-key/{call.key}")
    if reply.status_code == HTTPStatus.NOT_FOUND:
        return NotFound()
    reply.raise_for_status()
    return Landed(None)


@saga("ride", version=1, deadline="2m")
async def ride(request: Request) -> Ride:
    """Place and price side by side, then the driver."""
    place, price = await together(
        locate(request.rider, request.signal).last_good(max_age="15m", key=request.rider),
        quote(request.id, request.km).or_else(lambda: estimate(request.km)),
    )
    return Ride(place, price, await match(request.id, place))


engine = Engine(sagas=[ride])

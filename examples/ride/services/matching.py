"""Matching: holds a driver for a ride, and lets one go. Operations and kinds of effects: `match`, `release`.

`POST /matches` {ride, street} · `POST /releases` {ride, match} · `GET /matches/by-key/KEY` · `GET /releases/by-key/KEY`.
Remembers every answer.
"""

from functools import partial

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from examples.checkout.services.admin import main
from examples.checkout.services.desk import Desk, Done, Refusal, Remembers

DRIVERS = ("Dana", "Emre", "Filip")


class Match(BaseModel):
    """Hold a driver near this street for a ride."""

    ride: str
    street: str


class Release(BaseModel):
    """Let the driver go."""

    ride: str
    match: str


def routes(desk: Desk) -> list[Route]:
    """The business of the service."""

    async def match(request: Request) -> Response:
        asked = Match.model_validate_json(await request.body())
        driver = DRIVERS[sum(asked.ride.encode()) % len(DRIVERS)]
        return await desk.serve(
            request,
            "match",
            asked.ride,
            lambda: Done("match", "match", {"driver": driver, "street": asked.street}),
        )

    async def release(request: Request) -> Response:
        asked = Release.model_validate_json(await request.body())

        def decide() -> Done | Refusal:
            if not desk.ledger.holds(asked.match, "match"):
                return Refusal(422, "unknown_match", f"there is no match {asked.match}")
            return Done("release", "release", {"match": asked.match}, undoes=asked.match)

        return await desk.serve(request, "release", asked.ride, decide)

    return [
        Route("/matches", match, methods=["POST"]),
        Route("/releases", release, methods=["POST"]),
        Route("/matches/by-key/{key}", partial(desk.serve_status, operation="match")),
        Route("/releases/by-key/{key}", partial(desk.serve_status, operation="release")),
    ]


if __name__ == "__main__":
    main("matching", Remembers.ALL, routes)

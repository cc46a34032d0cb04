"""Recommendations: `GET /recommendations/VIEWER`. Operation `recommend`; it changes nothing, and has no effects."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from examples.checkout.services.admin import main
from examples.checkout.services.desk import Desk, Remembers

TITLES = ["Night Train", "The Cartographer", "A Quiet Year"]


def routes(desk: Desk) -> list[Route]:
    """The business of the service."""

    async def recommend(request: Request) -> Response:
        viewer = str(request.path_params["viewer"])

        def answer() -> dict[str, Any]:
            return {"heading": f"For {viewer}", "titles": TITLES}

        return await desk.serve_read(request, "recommend", viewer, answer)

    return [Route("/recommendations/{viewer}", recommend)]


if __name__ == "__main__":
    main("recommendations", Remembers.NOTHING, routes)

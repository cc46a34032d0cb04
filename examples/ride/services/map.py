"""The map: `GET /places?rider=WHO&signal=…`. Operation `locate`; it changes nothing, and has no effects."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from examples.checkout.services.admin import main
from examples.checkout.services.desk import Desk, Remembers


def routes(desk: Desk) -> list[Route]:
    """The business of the service."""

    async def locate(request: Request) -> Response:
        signal = request.query_params["signal"]

        def answer() -> dict[str, Any]:
            return {"street": signal.partition("/")[0]}

        return await desk.serve_read(request, "locate", request.query_params["rider"], answer)

    return [Route("/places", locate)]


if __name__ == "__main__":
    main("map", Remembers.NOTHING, routes)

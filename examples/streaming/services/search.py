"""Search: `GET /search?query=WORDS`. Operation `find`; it changes nothing, and has no effects."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from examples.checkout.services.admin import main
from examples.checkout.services.desk import Desk, Remembers

TITLES = ["Night Train", "Harbour Lights", "Second Spring", "A Quiet Year", "The Long Take"]


def routes(desk: Desk) -> list[Route]:
    """The business of the service."""

    async def find(request: Request) -> Response:
        query = request.query_params["query"]

        def answer() -> dict[str, Any]:
            found = [title for title in TITLES if query.lower() in title.lower()]
            return {"heading": f"Found for “{query}”", "titles": found}

        return await desk.serve_read(request, "find", query, answer)

    return [Route("/search", find)]


if __name__ == "__main__":
    main("search", Remembers.NOTHING, routes)

"""Pricing: `GET /quotes?ride=ID&km=…`. Operation `quote`; it changes nothing, and has no effects."""

from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from examples.checkout.services.admin import main
from examples.checkout.services.desk import Desk, Remembers

BASE, A_KM = Decimal("3.00"), Decimal("2.10")
"""It rains, and everybody wants a ride."""


def routes(desk: Desk) -> list[Route]:
    """The business of the service."""

    async def quote(request: Request) -> Response:
        km = Decimal(request.query_params["km"])

        def answer() -> dict[str, Any]:
            return {"amount": str(BASE + A_KM * km)}

        return await desk.serve_read(request, "quote", request.query_params["ride"], answer)

    return [Route("/quotes", quote)]


if __name__ == "__main__":
    main("pricing", Remembers.NOTHING, routes)

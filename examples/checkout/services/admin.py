"""What every service has besides its business: routes for tests and audits, and the start of its process.

The routes are under `/admin`; `control` is the client for them and says what they mean.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..serving import add_arguments, place_of, serve  # noqa: TID252
from .desk import Desk, Remembers, Times
from .faults import Fault, SeededFaults, Trouble
from .gates import Point
from .ledger import Ledger


class FaultAsked(BaseModel):
    """The next `count` requests of the operation meet this fault; for one order only, if one is named."""

    operation: str
    fault: Fault
    count: int = 1
    order: str | None = None
    code: str = "refused"
    share: float = 0.5


class GateAsked(BaseModel):
    """The gate of an operation, before or after its effect."""

    operation: str
    point: Point
    count: int = 1
    within: float = 10.0


def routes(desk: Desk) -> list[Route]:
    """The admin routes over one desk."""

    async def ask_fault(request: Request) -> Response:
        asked = FaultAsked.model_validate_json(await request.body())
        trouble = Trouble(asked.fault, asked.share, asked.code)
        desk.asked.add(asked.operation, asked.order, trouble, asked.count)
        return JSONResponse({})

    async def clear_faults(_: Request) -> Response:
        desk.asked.clear()
        return JSONResponse({})

    async def close_gate(request: Request) -> Response:
        gate = GateAsked.model_validate_json(await request.body())
        desk.gates.close(gate.operation, gate.point, gate.count)
        return JSONResponse({"held": desk.gates.held(gate.operation, gate.point)})

    async def open_gate(request: Request) -> Response:
        gate = GateAsked.model_validate_json(await request.body())
        return JSONResponse({"released": desk.gates.open(gate.operation, gate.point)})

    async def wait_at_gate(request: Request) -> Response:
        gate = GateAsked.model_validate_json(await request.body())
        held = await desk.gates.wait_held(gate.operation, gate.point, gate.count, gate.within)
        return JSONResponse({"held": held})

    async def state(_: Request) -> Response:
        return JSONResponse({"in_flight": {k: n for k, n in desk.in_flight.items() if n}})

    async def ledger(_: Request) -> Response:
        return JSONResponse(desk.ledger.read())

    return [
        Route("/admin/faults", ask_fault, methods=["POST"]),
        Route("/admin/faults", clear_faults, methods=["DELETE"]),
        Route("/admin/gates/close", close_gate, methods=["POST"]),
        Route("/admin/gates/open", open_gate, methods=["POST"]),
        Route("/admin/gates/wait", wait_at_gate, methods=["POST"]),
        Route("/admin/state", state),
        Route("/admin/ledger", ledger),
    ]


def main(name: str, remembers: Remembers, business: Callable[[Desk], Sequence[Route]]) -> None:
    """Runs the service `name` from the command line."""
    parser = argparse.ArgumentParser(prog=name, description=f"The {name} service of the checkout example.")
    add_arguments(parser)
    parser.add_argument(
        "--ledger", type=Path, required=True, help="the directory that keeps the service's ledger"
    )
    parser.add_argument("--seed", type=int, help="draw faults from this seed; without it there are none")
    parser.add_argument(
        "--patience", type=float, default=0.8, help="assumed deadline of a request, in seconds"
    )
    parser.add_argument(
        "--lateness", type=float, default=1.0, help="no request lands later than that, in seconds"
    )
    parser.add_argument("--work", type=float, default=0.0, help="how long a request takes, in seconds")
    given = parser.parse_args()
    desk = Desk(
        name,
        Ledger(given.ledger, name),
        remembers,
        SeededFaults(given.seed, name),
        Times(given.patience, given.lateness, given.work),
    )
    app = Starlette(routes=[*business(desk), *routes(desk)], exception_handlers={ValidationError: _malformed})
    serve(app, name, place_of(given))


def _malformed(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": {"code": "malformed", "message": str(error)}}, status_code=400)

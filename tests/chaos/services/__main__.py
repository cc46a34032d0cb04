"""`python -m tests.chaos.services --host market|street|warehouse`: one process of services, tied to its parent."""

from __future__ import annotations

import argparse
from pathlib import Path

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from examples.checkout.serving import add_arguments, break_connection, place_of, serve
from tests.chaos.services import warehouse
from tests.chaos.services.desk import Asked, Desks, market, street
from tests.chaos.services.trouble import Troubled, reply


def desks_app(desks: Desks) -> ASGIApp:
    """`POST /SERVICE/ACTION` does it, `GET /SERVICE/KEY` tells what became of it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # no lifespan: uvicorn takes that for an answer
        _, service, word = scope["path"].split("/")
        desk = desks[service]
        if scope["method"] == "GET":
            await reply(send, *(await desk.status(word)))
            return
        body = await Request(scope, receive).body()
        answer = await desk.serve(Asked.of(word, dict(scope["headers"]), body))
        if answer is None:
            break_connection(Request(scope))
            return
        await reply(send, *answer)

    return app


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    parser.add_argument("--host", choices=("market", "street", "warehouse"), required=True)
    parser.add_argument("--ledgers", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    asked = parser.parse_args()
    makers = {"market": market, "street": street}
    app = (
        warehouse.app()
        if asked.host == "warehouse"
        else desks_app(makers[asked.host](asked.ledgers, asked.seed))
    )
    serve(Troubled(app, asked.seed, asked.host), asked.host, place_of(asked))


if __name__ == "__main__":
    main()

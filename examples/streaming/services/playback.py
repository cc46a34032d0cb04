"""Playback: opens streams and closes them. Operations and kinds of effects: `stream`, `closing`. Remembers every answer.

`POST /streams` {visit, title} · `POST /closings` {visit, stream} · `GET /streams/by-key/KEY` · `GET /closings/by-key/KEY`.
"""

from functools import partial

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from examples.checkout.services.admin import main
from examples.checkout.services.desk import Desk, Done, Refusal, Remembers


class Open(BaseModel):
    """Open a stream of a title for a visit."""

    visit: str
    title: str


class Close(BaseModel):
    """Close it again."""

    visit: str
    stream: str


def routes(desk: Desk) -> list[Route]:
    """The business of the service."""

    async def open_stream(request: Request) -> Response:
        asked = Open.model_validate_json(await request.body())
        return await desk.serve(
            request, "stream", asked.visit, lambda: Done("stream", "stream", {"title": asked.title})
        )

    async def close(request: Request) -> Response:
        asked = Close.model_validate_json(await request.body())

        def decide() -> Done | Refusal:
            if not desk.ledger.holds(asked.stream, "stream"):
                return Refusal(422, "unknown_stream", f"there is no stream {asked.stream}")
            return Done("closing", "close", {"stream": asked.stream}, undoes=asked.stream)

        return await desk.serve(request, "closing", asked.visit, decide)

    return [
        Route("/streams", open_stream, methods=["POST"]),
        Route("/closings", close, methods=["POST"]),
        Route("/streams/by-key/{key}", partial(desk.serve_status, operation="stream")),
        Route("/closings/by-key/{key}", partial(desk.serve_status, operation="closing")),
    ]


if __name__ == "__main__":
    main("playback", Remembers.ALL, routes)

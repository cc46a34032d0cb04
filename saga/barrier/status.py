"""The status route: what became of a key, and the fence, so that the caller settles without custom code.

    GET  /barrier/KEY?side=action            what was committed; 404 proves nothing, the request may come yet
    POST /barrier/KEY?fence=1                fences the action unless it is there; 200 settles it either way

Rules that hold here: the table is read on the primary; a fence waits for whoever holds the key, or answers
409 after the barrier's `wait`; what is known comes with 200, also a refusal, because the question was answered.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from saga.barrier.barrier import Barrier, Begin
from saga.barrier.records import BarrierError, Record, Side, State
from saga.barrier.replies import Receive, Reply, Scope, Send, as_json, error, json_of, of_error, replayed


class Status:
    """The route as an ASGI application; the middlewares serve it, and it may be mounted by itself.

    Args:
        barrier: whose table.
        begin: gives a connection to the primary, in a transaction.
        path: where it is served. Whoever may ask here may fence: protect it as the service itself.
    """

    def __init__(self, barrier: Barrier, begin: Begin[Any], path: str = "/barrier") -> None:
        self._barrier = barrier
        self._begin = begin
        self._prefix = path.rstrip("/") + "/"

    def serves(self, scope: Scope) -> bool:
        """Whether the request is for this route."""
        return bool(scope["type"] == "http" and scope["path"].startswith(self._prefix))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one question."""
        del receive  # a question has no body
        try:
            reply = await self._answer(scope)
        except BarrierError as problem:
            reply = of_error(problem)
        await reply.send(send)

    async def _answer(self, scope: Scope) -> Reply:
        key = scope["path"].removeprefix(self._prefix)
        asked = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        side, fence = asked.get("side", ["action"])[0], asked.get("fence", ["0"])[0] == "1"
        if side not in set(Side) or (fence and side != Side.ACTION):
            return error(400, "side_invalid", "side is action or compensation, and only an action is fenced")
        if scope["method"] not in ({"POST"} if fence else {"GET", "POST"}):
            return error(405, "method", "GET reads, and POST with fence=1 fences", (b"allow", b"GET, POST"))
        async with self._begin() as connection:
            if fence:
                record: Record | None = await self._barrier.fence_async(connection, key)
            else:
                record = await self._barrier.look_async(connection, key, Side(side))
        if record is None:
            return as_json(404, {"key": key, "side": side, "state": "not_found"})
        return as_json(200, shown(record))


def shown(record: Record) -> dict[str, Any]:
    """A record as the route tells it: with its result, which may be the JSON of a stored reply."""
    result = record.result
    if record.state is State.DONE and result is None and record.reply is not None:
        result = json_of(replayed(record.reply))
    return {"key": record.key, "side": record.side, "state": record.state, "result": result}

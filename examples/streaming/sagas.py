"""The home page: what each service is to it, and what takes its place.

Without recommendations there are popular titles; without search what it found last for the same words, by whichever
worker, if that is no older than an hour; and nothing that happens to either touches the stream, which is the one thing
here that is *done*: opened once for a visit, and asked about where its answer was lost.
"""

import os
import time
from http import HTTPStatus

import httpx

from examples.streaming.pages import NO_SEARCH, POPULAR, HomePage, Row, Stream, Visit
from saga import Answer, Call, Engine, Landed, NotExecuted, NotFound, Retry, Service, saga, step, together
from saga.http import classify, client

recommendations = Service("recommendations", classify=classify)
search = Service("search", classify=classify)
playback = Service(
    "playback", remembers="all", key_lifetime="7d", lateness="1s", staleness="0s", classify=classify
)

_recommendations = client(lambda: os.environ["RECOMMENDATIONS_URL"])
_search = client(lambda: os.environ["SEARCH_URL"])
_playback = client(lambda: os.environ["PLAYBACK_URL"])

soon = Retry(attempts=2, first="50ms")
"""A viewer waits for the page: what does not come soon is done without."""


def _deadline(call: Call) -> dict[str, str]:
    return {"Request-Deadline": str(time.time() + call.remaining())}


def _shed(reply: httpx.Response) -> httpx.Response:
    """A 503 in the services' own format is proof that nothing was done, because they say so."""
    if reply.status_code == HTTPStatus.SERVICE_UNAVAILABLE and reply.json()["error"]["code"] == "down":
        raise NotExecuted(reply.json()["error"]["message"])
    return reply.raise_for_status()


@step(recommendations, timeout="1s", reads=True, retry=soon)
async def recommend(call: Call, viewer: str) -> Row:
    """What this viewer may like."""
    reply = _shed(await _recommendations.get(f"/recommendations/{viewer}", headers=_deadline(call)))
    return Row(**reply.json())


@step(search, timeout="1s", reads=True, retry=soon)
async def find(call: Call, query: str) -> Row:
    """Titles for these words."""
    reply = _shed(await _search.get("/search", params={"query": query}, headers=_deadline(call)))
    return Row(**reply.json())


@step(playback, timeout="1s", settle_within="1m")
async def open_stream(call: Call, visit: str, title: str) -> Stream:
    """The stream of the title that the viewer goes on watching."""
    headers = {"Idempotency-Key": call.key, **_deadline(call)}
    reply = _shed(await _playback.post("/streams", json={"visit": visit, "title": title}, headers=headers))
    return Stream(reply.json()["id"], title)


@open_stream.status
async def stream_status(call: Call, visit: str, title: str) -> Answer[Stream]:
    """What playback has under the key."""
    del visit
    reply = await _playback.get(f"/streams/by-key/{call.key}")
    if reply.status_code == HTTPStatus.NOT_FOUND:
        return NotFound()
    return Landed(Stream(reply.raise_for_status().json()["id"], title))


@open_stream.compensate
async def close_stream(call: Call, stream: Stream, visit: str, title: str) -> None:
    """Closes it again."""
    del title
    headers = {"Idempotency-Key": call.key, **_deadline(call)}
    _shed(await _playback.post("/closings", json={"visit": visit, "stream": stream.id}, headers=headers))


@close_stream.status
async def closing_status(call: Call, *_: object, **__: object) -> Answer[None]:
    """Whether it was closed."""
    reply = await _playback.get(f"/closings/by-key/{call.key}")
    if reply.status_code == HTTPStatus.NOT_FOUND:
        return NotFound()
    reply.raise_for_status()
    return Landed(None)


@saga("home_page", version=1, deadline="2m")
async def home_page(visit: Visit) -> HomePage:
    """Three services at once; the page is whole, or says what it does without."""
    titles, found, stream = await together(
        recommend(visit.viewer).or_else(lambda: POPULAR),
        find(visit.query).last_good(max_age="1h").or_else(lambda: NO_SEARCH),
        open_stream(visit.id, visit.title),
    )
    return HomePage([titles, found], stream.title)


engine = Engine(sagas=[home_page])

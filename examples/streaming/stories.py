"""What fails, and what the viewer sees of it."""

import time
from collections.abc import Callable

from examples.checkout.services.control import Fault
from examples.streaming.pages import NO_SEARCH, POPULAR, HomePage, Visit
from examples.streaming.sagas import home_page
from examples.streaming.stage import Ending, Stage, down, require, say, slow

KINDS = {"stream": "playback", "closing": "playback"}


def _visit(stage: Stage, number: int, viewer: str, query: str = "night") -> Ending[HomePage]:
    """A viewer opens the page; playback must be as if nothing else were there."""
    began = time.monotonic()
    visit = Visit(f"visit-{number}", viewer, query, title="Night Train")
    seen = stage.run(home_page, visit, key=visit.id, kinds=KINDS)
    lines = []
    if seen.result is not None:
        lines = [f"{row.heading}: {', '.join(row.titles) or '–'}" for row in seen.result.rows]
        lines.append(f"playing: {seen.result.playing}")
    say(began, seen, *lines)
    require(seen, seen.word == "confirmed" and seen.result is not None, "the page is shown")
    require(seen, seen.ledgers == {"stream": 1, "closing": 0}, "one stream, and it is not touched")
    return seen


def _without(seen: Ending[HomePage]) -> dict[str, bool]:
    """Which steps it did without, and whether a last good value took their place."""
    return {one.step: one.age is not None for one in seen.degraded}


def all_is_well(stage: Stage) -> None:
    """All is well."""
    seen = _visit(stage, 1, "ann")
    require(seen, not seen.degraded, "nothing is missing")


def recommendations_are_down(stage: Stage) -> None:
    """The recommendations are killed with kill -9: popular titles take their place."""
    with down(stage.services["recommendations"]):
        seen = _visit(stage, 2, "ann")
    require(seen, _without(seen) == {"recommend#1": False}, "only the recommendations are missing")
    require(seen, seen.result is not None and seen.result.rows[0] == POPULAR, "popular titles are shown")


def search_is_slow(stage: Stage) -> None:
    """Search does not answer any more: another viewer is shown what it found for the same words before."""
    with slow(stage.services["search"], "find"):
        seen = _visit(stage, 3, "bob")
        require(seen, _without(seen) == {"find#1": True}, "search gives its last good value")
        require(
            seen, seen.result is not None and seen.result.rows[1].titles == ["Night Train"], "as it was found"
        )
        asked_first = _visit(stage, 4, "bob", query="quiet")
    require(asked_first, _without(asked_first) == {"find#1": False}, "nobody had looked for that before")
    require(
        asked_first, asked_first.result is not None and asked_first.result.rows[1] == NO_SEARCH, "it says so"
    )


def everything_fails_at_once(stage: Stage) -> None:
    """Recommendations are down, search is slow, and playback's answer is lost: asked about, and not opened twice."""
    playback = stage.services["playback"]
    playback.fault("stream", Fault.LOSE_REPLY)
    with down(stage.services["recommendations"]), slow(stage.services["search"], "find"):
        seen = _visit(stage, 5, "cid")
    require(seen, _without(seen) == {"recommend#1": False, "find#1": True}, "both fell back")
    (lost,) = playback.book().of("stream", seen.key)
    require(seen, not lost.delivered, "the answer was lost")
    require(seen, bool(playback.book().arrivals("status:stream", seen.key)), "playback was asked")


def all_is_back(stage: Stage) -> None:
    """Everything is back: the next page is whole, and nobody had to do anything."""
    seen = _visit(stage, 6, "ann")
    require(seen, not seen.degraded, "nothing is missing")


STORIES: tuple[Callable[[Stage], None], ...] = (
    all_is_well,
    recommendations_are_down,
    search_is_slow,
    everything_fails_at_once,
    all_is_back,
)

"""`python -m examples.streaming`: tells every story, and ends with 0 only if each ended as it must."""

import sys

from examples.streaming.sagas import engine
from examples.streaming.stage import Cast, tell
from examples.streaming.stories import STORIES

CAST = Cast(
    "examples.streaming.sagas:engine",
    {
        "recommendations": "examples.streaming.services.recommendations",
        "search": "examples.streaming.services.search",
        "playback": "examples.streaming.services.playback",
    },
)

if __name__ == "__main__":
    sys.exit(tell("streaming", engine, CAST, STORIES))

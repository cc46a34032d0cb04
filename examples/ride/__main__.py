"""`python -m examples.ride`: tells every story, and ends with 0 only if each ended as it must."""

import sys

from examples.ride.sagas import engine
from examples.ride.stories import STORIES
from examples.streaming.stage import Cast, tell

CAST = Cast(
    "examples.ride.sagas:engine",
    {
        "map": "examples.ride.services.map",
        "pricing": "examples.ride.services.pricing",
        "matching": "examples.ride.services.matching",
    },
)

if __name__ == "__main__":
    sys.exit(tell("ride", engine, CAST, STORIES))

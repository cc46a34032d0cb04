"""The hotel: books rooms. Operations `room` and `cancel_room`; kinds of effects the same."""

from examples.travel.services.bookable import run

if __name__ == "__main__":
    run("hotel", "room")

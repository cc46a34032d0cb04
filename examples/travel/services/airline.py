"""The airline: books seats. Operations `seat` and `cancel_seat`; kinds of effects the same."""

from examples.travel.services.bookable import run

if __name__ == "__main__":
    run("airline", "seat")

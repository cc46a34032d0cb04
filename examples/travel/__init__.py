"""A journey of three bookings with three strangers: a seat, a room and the money, asked for at the same moment.

`sagas` is the business, `services` the airline and the hotel (the payment service is the checkout's own), `stories` what
goes wrong and what has to come of it. `python -m examples.travel` tells the stories, with real processes.
"""

"""The airline and the hotel. Each belongs to somebody else: a process and a ledger of its own; see `bookable`.

They go the way of the checkout's services (`examples.checkout.services`): same desk, same faults, same gates. The third
of the journey, the payment service, *is* the checkout's. `control` starts all three.
"""

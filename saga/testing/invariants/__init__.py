"""The invariants I1 to I20, each in a module of its own, read off the services' ledgers.

Rules that hold here: what a service wrote down counts, and not what the engine believes; the engine's rows are read
only for what they claim, so that the claim can be held against the ledger. `broken` asks all of them.
"""

from saga.testing.invariants.judge import ALL, broken
from saga.testing.invariants.record import Record, Violation

__all__ = ["ALL", "Record", "Violation", "broken"]

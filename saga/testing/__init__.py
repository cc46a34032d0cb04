"""For tests of your own: a hostile server, and `prove_client`, which points a step of yours at it."""

from saga.testing.prove import Finding, Proof, prove_client

__all__ = ["Finding", "Proof", "prove_client"]

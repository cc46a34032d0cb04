"""What an operator can be told besides what every caller can."""

from __future__ import annotations

from saga.errors import SagaError, Unsafe


class Ambiguous(SagaError):
    """An id or a step means more than one thing; the sentence lists them."""


class NoWorker(SagaError):
    """Only a worker can ask a service, and none that serves the saga is there, or took the question."""


class Disagrees(Unsafe):
    """The operator's statement and the service's answer contradict each other."""

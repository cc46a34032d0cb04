"""The processes that run sagas: they do, and are the only place that calls services."""

from saga_worker.worker import Worker

__all__ = ["Worker"]

"""What is checked before a signal is sent to a saga."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from saga.definition import SagaDefinition
from saga.errors import InputError
from saga.ids import uuid7
from saga.signals import Signal
from saga.starting import check_key
from saga.store.signals import NewSignal

if TYPE_CHECKING:
    from saga.engine import Engine

T = TypeVar("T")


def new_signal(
    engine: Engine, saga: SagaDefinition[Any, Any], signal: Signal[T], payload: T, *, to: str, key: str | None
) -> NewSignal:
    """What is to be written for a signal. to: the saga's business key. key: under which it is sent once.

    Raises:
        InputError, NotFoundError, Unstorable: with a sentence; nothing was written.
    """
    engine.definition(saga.name, saga.version)
    try:
        saga.require_signal(signal)
    except RuntimeError as error:
        raise InputError(str(error)) from None
    if key is not None:
        check_key(key)
    return NewSignal(uuid7(), saga.name, to, signal.name, signal.encode(payload), key)

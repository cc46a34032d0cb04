"""The saga engine for Python and Postgres that never guesses.

What a backend service imports: the public names, and nothing else.
"""

from saga.answers import Answer, Fenced, Landed, NotFound, Pending
from saga.call import Call
from saga.calls import StepCall
from saga.core.model import View
from saga.definition import SagaDefinition, saga
from saga.engine import Engine
from saga.errors import (
    AlreadyEnded,
    DatabaseUnreachable,
    DefinitionError,
    DefinitionWarning,
    InProgress,
    InputError,
    KeyConflict,
    Mismatch,
    NotCommitted,
    NotExecuted,
    NotFoundError,
    Refused,
    SagaAbandoned,
    SagaError,
    SagaFailed,
    SagaPurged,
    SchemaMismatch,
    ServerError,
    SignalTimeout,
    StepFailed,
    StillProcessing,
    StoreError,
    TooLarge,
    Unknown,
    Unsafe,
    Unstorable,
)
from saga.handle import Handle, SagaView
from saga.moments import new_uuid, now, random, sleep
from saga.parallel import together
from saga.service import Breaker, Retry, Service
from saga.signals import Signal
from saga.steps import Compensation, Step, step

__all__ = [
    "AlreadyEnded",
    "Answer",
    "Breaker",
    "Call",
    "Compensation",
    "DatabaseUnreachable",
    "DefinitionError",
    "DefinitionWarning",
    "Engine",
    "Fenced",
    "Handle",
    "InProgress",
    "InputError",
    "KeyConflict",
    "Landed",
    "Mismatch",
    "NotCommitted",
    "NotExecuted",
    "NotFound",
    "NotFoundError",
    "Pending",
    "Refused",
    "Retry",
    "SagaAbandoned",
    "SagaDefinition",
    "SagaError",
    "SagaFailed",
    "SagaPurged",
    "SagaView",
    "SchemaMismatch",
    "ServerError",
    "Service",
    "Signal",
    "SignalTimeout",
    "Step",
    "StepCall",
    "StepFailed",
    "StillProcessing",
    "StoreError",
    "TooLarge",
    "Unknown",
    "Unsafe",
    "Unstorable",
    "View",
    "new_uuid",
    "now",
    "random",
    "saga",
    "sleep",
    "step",
    "together",
]

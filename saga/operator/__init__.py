"""`engine.operator(who)`: what a person may see and do. Everything the command line does is a method here first.

Rules that hold here (S37-S40): looking changes nothing; an act is compare-and-set, audited with who and why, and writes
requests and evidence only; a service is asked by a worker and never from here; what cannot be told for sure is said so.
"""

from saga.operator.desk import Operator
from saga.operator.errors import Ambiguous, Disagrees, NoWorker
from saga.operator.findings import Finding, Stuck
from saga.operator.records import Plan, Preview, ProbeAnswer, Resolution, Why
from saga.operator.retention import Retention
from saga.operator.services import ServiceActed, ServiceDesk, ServiceLine, ServicePreview
from saga.store.acts import Acted, Moved, Overtaken
from saga.store.audit import Entry
from saga.store.queries import EvidenceLine, Group, Query, SagaLine, Story
from saga.store.retention import Purgeable
from saga.store.stuck import WorkerLine

__all__ = [
    "Acted",
    "Ambiguous",
    "Disagrees",
    "Entry",
    "EvidenceLine",
    "Finding",
    "Group",
    "Moved",
    "NoWorker",
    "Operator",
    "Overtaken",
    "Plan",
    "Preview",
    "ProbeAnswer",
    "Purgeable",
    "Query",
    "Resolution",
    "Retention",
    "SagaLine",
    "ServiceActed",
    "ServiceDesk",
    "ServiceLine",
    "ServicePreview",
    "Story",
    "Stuck",
    "Why",
    "WorkerLine",
]

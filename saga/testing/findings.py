"""What is wrong with a path of a sweep, and how it is told: the path, the sentence, the ledger.

Rules that hold here: what a user's own saga may get wrong comes first, in the user's words; what breaks a promise of
the engine (`saga.testing.invariants`) is said to be that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from saga.core.model import Direction, ParkCause, SagaStatus
from saga.core.promises import Kind
from saga.definition import SagaDefinition
from saga.steps import Step
from saga.testing.invariants import broken
from saga.testing.invariants.record import Record, SagaClaim
from saga.testing.simulation import network, service, wire
from saga.testing.simulation.chance import Fault
from saga.testing.simulation.ledger import Action

SHOWN = 3
"""So many kinds of trouble are told in full."""
CODE = frozenset({ParkCause.CODE_FAILED, ParkCause.CODE_CHANGED, ParkCause.NOT_AWAITED, ParkCause.UNSTORABLE})
"""Causes of parking that only the saga's own code can have."""
WORDS = {
    network.KILLED_BEFORE: "crash before send at",
    network.KILLED_AFTER: "crash after send at",
    network.LOST: "request lost at",
    network.UNANSWERED: "reply lost at",
    network.LATE: "landed late at",
    network.NO_ANSWER: "no answer about",
    service.REFUSES: "refused at",
    service.FAILS_AFTER: "500 after the effect at",
    service.SHEDS: "429 at",
    wire.BATCH_KILLED: "crash in the commit of",
    wire.BATCH_UNANSWERED: "reply lost of the commit of",
}
WRITTEN = {
    "outcomes": "an outcome",
    "first_intents": "an intent",
    "next_intents": "a next intent",
    "sagas": "the saga's state",
}


@dataclass(frozen=True, slots=True)
class Passed:
    """What a point is about."""

    identity: str
    direction: Direction
    attempt: int
    probe: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. says: in words, without the path. path: in words."""

    says: str
    path: tuple[str, ...]
    traits: tuple[str, ...] = ()

    def __str__(self) -> str:
        """As it is printed."""
        return f"{', '.join((*(self.path or ('without any fault',)), *self.traits))}: {self.says}"


def step_of(identity: str) -> str:
    """The step's name in an identity such as "2/charge#1"."""
    return identity.rpartition("/")[2].partition("#")[0]


def in_words(taken: Sequence[tuple[Fault, Passed | None]]) -> tuple[str, ...]:
    """A path, a few words a fault."""
    return tuple(_fault(fault, passed) for fault, passed in taken)


def findings(
    record: Record,
    path: tuple[str, ...],
    limits: Mapping[str, int],
    reason: str | None,
) -> list[Finding]:
    """All that is wrong with one path, which is given in words. limits: how often each step may stand; once, where nothing is said."""
    (claim,) = record.sagas
    found = [Finding(says, path, traits) for says, traits in _standing(record, claim, limits)]
    if claim.park_cause in CODE:
        cause = str(claim.park_cause).replace("_", " ")
        found.append(Finding(f"parked as {cause}: {reason}", path))
    if not record.rested:
        found.append(Finding(f"it neither ended nor waits for a person: {', '.join(record.unrest)}", path))
    if not found:
        found += [
            Finding(f"the engine broke its promise {one.invariant}: {one.says}", path)
            for one in broken(record)
            if not _known(record, claim, one.says)
        ]
    return found


def _standing(
    record: Record, claim: SagaClaim, limits: Mapping[str, int]
) -> list[tuple[str, tuple[str, ...]]]:
    """Steps that stand more often than they may."""
    net = record.net(claim.key)
    found: list[tuple[str, tuple[str, ...]]] = []
    for name in sorted({step_of(identity) for identity in net}):
        step = claim.definition.steps[name]
        parts = {identity: count for identity, count in net.items() if step_of(identity) == name}
        stands, may = sum(parts.values()), max(1, limits.get(name, 1))
        if step.policy.kind is Kind.READS or (step.policy.kind is Kind.REPEATABLE and not step.compensation):
            continue
        undone = claim.status is SagaStatus.COMPENSATED and step.policy.kind is Kind.REPEATABLE
        if stands > may and (claim.status is SagaStatus.COMPLETED or step.policy.kind is Kind.REPEATABLE):
            found.append((_counted(name, parts, may), _traits(record, claim, step, parts)))
        elif undone and stands > 0:
            found.append(
                (
                    f"the saga was undone, and {_counting(stands, 'effect')} of {name} stands",
                    _traits(record, claim, step, parts),
                )
            )
    return found


def _counted(name: str, parts: Mapping[str, int], may: int) -> str:
    where = ", ".join(identity for identity, count in parts.items() if count)
    total = _counting(sum(parts.values()), "effect")
    if len(parts) == 1:
        return f"{total} of {name}"
    return f"{total} of {name} ({where}), and {may} without faults: if that is meant, say stands={{{name}: {sum(parts.values())}}}"


def _counting(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _traits(
    record: Record, claim: SagaClaim, step: Step[..., Any], parts: Mapping[str, int]
) -> tuple[str, ...]:
    """Why it could come to that."""
    if len(parts) > 1:
        return ("called again by the saga",)
    sends = Counter(
        s.named.step for s in record.sent.get(claim.key, []) if s.named.direction is Direction.FORWARD
    )
    said = ["no status handler"] if step.probe is None else []
    if step.policy.kind is Kind.REPEATABLE:
        said.append("repeatable")
    if max((sends[identity] for identity in parts), default=0) > 1:
        said.append("resent under its key" if step.service.promises.dedups else "resent without a key")
    return tuple(said)


def _known(record: Record, claim: SagaClaim, says: str) -> bool:
    """Whether an invariant speaks of what was judged above, in the user's words."""
    if "its code is sound" in says:
        return True
    return any(
        step.policy.kind is Kind.REPEATABLE and step_of(identity) == name and identity in says
        for name, step in claim.definition.steps.items()
        for identity in record.net(claim.key)
    )


def _fault(fault: Fault, passed: Passed | None) -> str:
    word = WORDS.get(fault.name, fault.name)
    if passed is None:
        names = fault.point.partition(" ")[2].split(", ")
        what = " and ".join(WRITTEN[name] for name in names if name in WRITTEN)
        nth = f", the {fault.number + 1}. of its kind" if fault.number else ""
        return f"{word} {what}{nth}"
    undo = "the undo of " if passed.direction is Direction.BACKWARD else ""
    nth = f", attempt {passed.attempt}" if passed.attempt > 1 and not passed.probe else ""
    return f"{word} {undo}{passed.identity}{nth}"


def told(saga: SagaDefinition[Any, Any], wrong: Sequence[tuple[list[Finding], Record]], paths: int) -> str:
    """All of it, in words: each kind of trouble once, by its first path, with the ledger."""
    kinds: dict[str, list[tuple[Finding, Record]]] = {}
    for found, record in wrong:
        for finding in found:
            kinds.setdefault(finding.says, []).append((finding, record))
    lines = [f"sweep of {saga.name}: {len(wrong)} of {paths} paths end badly"]
    for all_of_it in list(kinds.values())[:SHOWN]:
        finding, record = all_of_it[0]
        more = len(all_of_it) - 1
        also = f"   (and on {_counting(more, 'more path')})" if more else ""
        lines += ["", f"  {finding}{also}", *(f"    {line}" for line in ledger_lines(record))]
    if len(kinds) > SHOWN:
        lines += ["", f"  and {len(kinds) - SHOWN} more kinds of trouble"]
    return "\n".join(lines)


def ledger_lines(record: Record) -> list[str]:
    """The services' ledger, a line an entry, and how the saga stands."""
    lines = [
        f"{e.at:10.3f} s  {e.named.service}: {_what(e.named.step, e.named.direction)} {e.action}, attempt {e.attempt}"
        for e in record.ledger.entries
        if e.action is not Action.FENCED
    ]
    lines = lines or ["the ledgers are empty"]
    lines += [
        f"{'':14}the saga is {claim.status}" + (f" ({claim.park_cause})" if claim.park_cause else "")
        for claim in record.sagas
    ]
    return lines


def _what(identity: str, direction: Direction) -> str:
    return identity if direction is Direction.FORWARD else f"the undo of {identity}"

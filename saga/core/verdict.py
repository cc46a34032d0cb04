"""Evidence and promises in, the proven outcome out: the one place that concludes.

Rules that hold here (settling.md): what is not proven is unknown (S2); an effect is settled only if every
attempt is, or a reply that the service stores under the key speaks for all (S4, S17); "not found" proves
nothing before quiescence (S13, S16); an operator's statement is evidence that proof outranks (S37); that a
person has undone by hand what the service did not undo is no statement against it (S29).
The order of the clauses in `verdict` is the order of their strength.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from saga.core.evidence import (
    Evidence,
    Fenced,
    Intended,
    Landed,
    Lost,
    NotFound,
    Pending,
    Phase,
    Probed,
    Replied,
    SaidRefused,
    StatedLanded,
    StatedNever,
)
from saga.core.model import EffectStatus, Kept, NotExecuted, Outcome, Refused, Succeeded, Unknown
from saga.core.promises import Kind, Policy, Promises, Remembers

STATEMENT = "statement"
"""The proof rule of a verdict that rests on an operator's word."""
UNSTORABLE = "reply with an unstorable result"
"""The proof rule of a success whose result could not be kept; an operator may state the result."""
QUIET_READS = 2
"""How many "not found" after quiescence prove that nothing happened (S16)."""


class Basis(StrEnum):
    """What a verdict rests on."""

    PROOF = "proof"
    STATEMENT = "statement"
    SILENCE = "silence"
    """Quiescence: nothing was found when everything must have landed; a late watch follows (S16)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome that the evidence proves, what it rests on, and whether evidence contradicts it.

    surplus: further effects under the same key, which nobody wanted (S23).
    """

    outcome: Outcome
    basis: Basis = Basis.PROOF
    contradiction: str | None = None
    surplus: tuple[str, ...] = ()


def verdict(evidence: Sequence[Evidence], promises: Promises, policy: Policy) -> Verdict:
    """What the evidence proves about one effect. Pure: the same evidence always gives the same verdict."""
    proof, basis = _proof(evidence, promises, policy)
    stated = next((e for e in reversed(evidence) if isinstance(e, StatedLanded | StatedNever)), None)
    match (proof, stated):
        case (Unknown(), StatedLanded(result=result)):
            return Verdict(Succeeded(result, rule=STATEMENT), Basis.STATEMENT)
        case (Succeeded(rule=rule), StatedLanded(result=result)) if rule == UNSTORABLE:
            return Verdict(Succeeded(result, rule=STATEMENT), Basis.STATEMENT)
        case (Refused() | NotExecuted(), StatedLanded(result=result, by_hand=True)):  # S29: done outside
            return Verdict(Succeeded(result, rule=STATEMENT), Basis.STATEMENT)
        case (Unknown(), StatedNever(attempt=attempt, because=because, at=at)) if attempt >= max(
            outcomes(evidence), default=0
        ) and _could_know(evidence, promises, at):
            return Verdict(NotExecuted(because, rule=STATEMENT), Basis.STATEMENT)
        case (Succeeded(), StatedNever(by=by)):
            return Verdict(proof, contradiction=f"it landed, although {by} stated that it never did")
        case (NotExecuted() | Refused(), StatedLanded(by=by)):
            return Verdict(proof, contradiction=f"it did not land, although {by} stated that it did")
        case (Succeeded(), _) if policy.kind is not Kind.READS:
            return Verdict(
                proof, basis, contradiction=_against(evidence, promises, policy), surplus=_surplus(evidence)
            )
        case _:
            return Verdict(proof, basis, surplus=_surplus(evidence))


def _could_know(evidence: Iterable[Evidence], promises: Promises, at: datetime | None) -> bool:
    """Whether what was said at `at` was said when nothing could land any more (S16): before, nobody can know."""
    deadlines = [e.deadline for e in evidence if isinstance(e, Intended)]
    return at is None or not deadlines or at >= max(deadlines) + promises.lateness


def _against(evidence: Sequence[Evidence], promises: Promises, policy: Policy) -> str | None:
    """What the rest of the evidence would have proven, of an effect that landed all the same (S25)."""
    landings = {e.attempt for e in evidence if isinstance(e, Replied) and isinstance(e.outcome, Succeeded)}
    if landings and not promises.dedups and policy.kind is Kind.EFFECT:
        first, newest = min(landings), max(outcomes(evidence))
        if len(landings) > 1:
            return f"it landed more than once: attempts {', '.join(map(str, sorted(landings)))} succeeded"
        if first < newest:
            return f"attempt {first} landed after it was proven that it did not, and attempt {newest} may have landed, too"
    without = [e for e in evidence if _landed([e]) is None]
    if all(isinstance(e, Intended) for e in without):
        return None  # an intent alone proves nothing
    match _proof(without, promises, policy)[0]:
        case Refused(rule=rule) | NotExecuted(rule=rule) if outcomes(without):
            return f"it landed, although it was proven that it did not ({rule})"
        case _:
            return None


def _surplus(evidence: Iterable[Evidence]) -> tuple[str, ...]:
    """What the newest answer that found more than one found besides the one that is kept."""
    found: tuple[str, ...] = ()
    for item in evidence:
        match item:
            case Probed(answer=Landed(also=also)) if also:
                found = also
            case _:
                pass
    return found


def _proof(evidence: Sequence[Evidence], promises: Promises, policy: Policy) -> tuple[Outcome, Basis]:
    landed = _landed(evidence)
    if landed is not None:
        return landed, Basis.PROOF
    if any(isinstance(e, Probed) and isinstance(e.answer, Fenced) for e in evidence):
        return NotExecuted("the service fenced the key", rule="fenced"), Basis.PROOF
    stored = _stored_refusal(evidence, promises)
    if stored is not None:
        return stored, Basis.PROOF
    attempts = outcomes(evidence)
    if not attempts:
        return NotExecuted("never sent", rule="no intent"), Basis.PROOF
    last = attempts[max(attempts)]
    doubted = [n for n, outcome in attempts.items() if isinstance(outcome, Unknown)]
    if policy.kind is Kind.READS and isinstance(last, Unknown):
        # It changes nothing, so nothing can have happened.
        return NotExecuted(last.reason, rule="reads"), Basis.PROOF
    if policy.kind is Kind.READS or not doubted:
        return last, Basis.PROOF
    if _quiet(evidence, max(attempts), promises):
        # Every attempt in doubt is now proven not executed; a last refusal stands on its own (S17).
        silent = last if isinstance(last, Refused) else NotExecuted("never landed", rule="quiescence")
        return silent, Basis.SILENCE
    return _first_doubt(attempts, doubted), Basis.PROOF


def _first_doubt(attempts: dict[int, Outcome], doubted: list[int]) -> Unknown:
    first = attempts[doubted[-1]]
    reason = first.reason if isinstance(first, Unknown) else ""
    return Unknown(f"attempt {doubted[-1]}: {reason}")


def outcomes(evidence: Iterable[Evidence]) -> dict[int, Outcome]:
    """Each attempt's own outcome; one without a reply is unknown (S9)."""
    found: dict[int, Outcome] = {}
    for item in evidence:
        match item:
            case Intended(attempt=n):
                found.setdefault(n, Unknown("no reply yet"))
            case Lost(attempt=n):
                if isinstance(found.get(n, Unknown("")), Unknown):
                    found[n] = Unknown("its worker went away before it told the outcome")
            case Replied(attempt=n, outcome=outcome):
                # A late reply beats the "unknown" that its sender recorded at the deadline, never a proof.
                if n not in found or isinstance(found[n], Unknown):
                    found[n] = outcome
            case _:
                pass
    return dict(sorted(found.items()))


def _landed(evidence: Iterable[Evidence]) -> Succeeded | None:
    for item in evidence:
        match item:
            case Replied(outcome=Succeeded() as outcome):
                return outcome
            case Probed(answer=Landed(result)):
                return Succeeded(result, rule="probe")
            case _:
                pass
    return None


def _stored_refusal(evidence: Iterable[Evidence], promises: Promises) -> Refused | None:
    """A refusal that the service keeps under the key, and that so speaks for every attempt (S4, S13)."""
    stores_all = promises.remembers is Remembers.ALL
    for item in evidence:
        match item:
            case Replied(outcome=Refused(kept=Kept.YES) as outcome) if promises.dedups:
                return outcome
            case Replied(outcome=Refused(kept=Kept.BY_PROMISE) as outcome) if stores_all:
                return outcome
            case Probed(answer=SaidRefused(code, message)) if stores_all:
                return Refused(code, message, rule="probe")
            case _:
                pass
    return None


def _quiet(evidence: Iterable[Evidence], newest: int, promises: Promises) -> bool:
    """At least two "not found", spaced by the staleness, asked after everything must have landed (S16)."""
    reads: list[datetime] = []
    for item in evidence:
        match item:
            case Probed(attempt=n, phase=Phase.QUIET, at=at, answer=NotFound() | SaidRefused()) if (
                n == newest
            ):
                reads.append(at)
            case Probed(answer=Pending()):
                reads.clear()  # it is still at it, later than it promised: what was read before is worth nothing
            case _:
                pass
    return len(reads) >= QUIET_READS and max(reads) - min(reads) >= promises.staleness


def left_behind(evidence: Sequence[Evidence], promises: Promises, policy: Policy) -> bool:
    """Whether an earlier attempt was passed over in silence, and could yet make a second effect (S16, S23)."""
    if promises.dedups or policy.kind is not Kind.EFFECT:
        return False
    ends = outcomes(evidence)
    newest = max(ends, default=0)
    return any(isinstance(outcome, Unknown) for number, outcome in ends.items() if number < newest)


def contradiction(
    settled: EffectStatus, seen: Evidence, *, attempts: int = 1, by_hand: bool = False
) -> str | None:
    """How an observation contradicts what an effect was settled as (S25); None where it does not.

    attempts: how many the effect had; what one of several did not do says nothing of the others (S4, S17).
    by_hand: it was settled by the word of a person who has done it outside.
    """
    outcome = _said(seen)
    if isinstance(seen, Replied) and attempts > 1 and not isinstance(outcome, Succeeded):
        return None
    if settled is EffectStatus.SUCCEEDED and (more := _surplus([seen])):
        return f"{len(more)} more landed under its key"  # S23
    match (settled, outcome):
        case (EffectStatus.REFUSED | EffectStatus.NOT_EXECUTED, Succeeded()):
            return f"it landed late, after it was settled as {settled.value.replace('_', ' ')}"
        case (EffectStatus.SUCCEEDED, Succeeded()) if by_hand:
            return "it landed late, after a person had done it by hand"
        case (EffectStatus.SUCCEEDED, Refused() | NotExecuted()) if not by_hand:
            return "the service says that it did not happen, after it was settled as succeeded"
        case _:
            return None


def _said(seen: Evidence) -> Outcome | None:
    match seen:
        case Replied(outcome=outcome):
            return outcome
        case Probed(answer=Landed(result)):
            return Succeeded(result)
        case Probed(answer=Fenced()):
            return NotExecuted("fenced", rule="fenced")
        case _:
            return None

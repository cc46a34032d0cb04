"""What a worker concludes and decides, from its own memory alone.

Rules that hold here: the stage of an effect is a pure function of its row (S3, S4, S13, S16, S17); what is done next
is a pure function of the memory and of whether quiet has come (S12, S14, S15, S26-S29, S32, S33). A twin is the
same with one rule left out; `Rules.without` says which.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from tests.model.world import MOST_ATTEMPTS, STEPS, Memory, Profile, Remembers, Row, Unit, with_row


@dataclass(frozen=True, slots=True)
class Rules:
    """The promises of the service, and the rule that this protocol lacks, if any."""

    profile: Profile
    without: str = ""


class Do(NamedTuple):
    """What comes next: write a unit, probe an effect, wait for its quiet, or (a twin) call without an intent."""

    what: str
    effect: int = 0
    unit: Unit | None = None


def stage(rules: Rules, row: Row) -> str:
    """What the evidence says: fresh, landed, refused, clear (certainly not executed) or doubt."""
    outs, reads = row
    if not outs:
        return "fresh"
    if "s" in outs or reads == "L":
        return "landed"
    stores = rules.profile.remembers is Remembers.ALL
    if reads == "R" or ("r" in outs and stores):
        return "refused"  # S17: a refusal that is kept under the key speaks for every attempt
    last = {"r": "refused", "n": "clear"}.get(outs[-1], "doubt")
    if "u" not in outs:
        return last
    if _believed(rules, row):
        return "refused" if last == "refused" else "clear"
    return "doubt"


def _believed(rules: Rules, row: Row) -> bool:
    """Whether an attempt without a reply is taken for one that never happened."""
    match rules.without:
        case "not found proves nothing":
            return row.reads in {"e", "1", "2"}
        case "two quiet reads":
            return row.reads in {"1", "2"}
        case "a refusal speaks for itself":
            return row.outs[-1] == "r" or row.reads == "2"
        case "not executed speaks for itself":
            return row.outs[-1] == "n" or row.reads == "2"
        case _:
            return row.reads == "2"  # S16


def decide(rules: Rules, memory: Memory, quiet: tuple[bool, ...]) -> Do:
    """The next act of the worker that has this memory."""
    return _back(rules, memory, quiet) if memory.back else _forth(rules, memory, quiet)


def _forth(rules: Rules, memory: Memory, quiet: tuple[bool, ...]) -> Do:
    for effect in range(STEPS):
        row = memory.rows[effect]
        match stage(rules, row):
            case "landed":
                continue
            case "fresh" if not memory.cancel:
                return _intend(rules, memory, effect, quiet=True)
            case "clear" if not memory.cancel and len(row.outs) < MOST_ATTEMPTS:
                return _intend(rules, memory, effect, quiet=quiet[effect])
            case "doubt" if not _turns_in_doubt(rules, memory):
                return _doubt(rules, memory, effect, quiet[effect], wanted=not memory.cancel)
            case "refused" if rules.without == "parked only with cause":
                return _write("park", memory)
            case _:
                return _turn(rules, memory)
    return _turn(rules, memory) if memory.cancel else _write("completed", memory)


def _turns_in_doubt(rules: Rules, memory: Memory) -> bool:
    return rules.without == "unknown is no failure" or (
        memory.cancel and rules.without == "settle before the turn"
    )


def _back(rules: Rules, memory: Memory, quiet: tuple[bool, ...]) -> Do:
    for effect in memory.plan:
        row = memory.rows[effect]
        match stage(rules, row):
            case "landed":
                continue
            case "refused" if rules.without == "a refused undo is not done":
                continue
            case "fresh":
                return _intend(rules, memory, effect, quiet=True)
            case "clear" if len(row.outs) < MOST_ATTEMPTS:
                return _intend(rules, memory, effect, quiet=quiet[effect])
            case "doubt":
                return _doubt(rules, memory, effect, quiet[effect], wanted=True)
            case _:
                return _write("park", memory)  # S29: refused, or never executed and no send is left
    return _write("compensated", memory)


def _doubt(rules: Rules, memory: Memory, effect: int, quiet: bool, *, wanted: bool) -> Do:
    """S12, S14, S15, S22, S24: ask, send again under the same key, or leave it to a person."""
    row = memory.rows[effect]
    again = wanted and len(row.outs) < MOST_ATTEMPTS
    resend = again and rules.profile.dedups and row.outs[-1] != "r"
    if again and rules.without == "no resend without dedup":
        return _intend(rules, memory, effect, quiet=True)
    if rules.profile.can_probe and not (resend and row.reads):
        return Do("probe", effect)
    if resend:
        return _intend(rules, memory, effect, quiet=quiet)
    return _write("park", memory)


def _intend(rules: Rules, memory: Memory, effect: int, *, quiet: bool) -> Do:
    row = memory.rows[effect]
    if not quiet and not rules.profile.dedups and rules.without != "the next sender waits":
        return Do("wait", effect)  # S33
    after = with_row(memory, effect, Row(row.outs + "u"))
    return Do("write", effect, Unit("intent", after, effect))


def _turn(rules: Rules, memory: Memory) -> Do:
    """S27, S28: the plan is what landed, the last first; without anything to undo, the turn is the end."""
    told = {"landed", "refused"} if rules.without == "a refused effect is not undone" else {"landed"}
    done = [e for e in range(STEPS) if stage(rules, memory.rows[e]) in told]
    plan = tuple(e + STEPS for e in (done if rules.without == "reverse order" else reversed(done)))
    turned = memory._replace(back=True, plan=plan)
    return _write("turn" if plan else "compensated", turned)


def _write(kind: str, after: Memory) -> Do:
    return Do("write", 0, Unit(kind, after))

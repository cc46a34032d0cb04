"""The end of the demo: a table for people, a line for programs, and whether what was promised held."""

import json
from dataclasses import dataclass

from saga.demo.audit import CONFIRMED, DECLINED, PROCESSING, TRY_AGAIN, Findings

PARKED_AT_MOST = 0.02
LOST_AT_LEAST = 0.05
SENTENCES_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Outcome:
    """Both shops, audited. `seconds`: the whole demo, by the clock on the wall."""

    saga: Findings
    naive: Findings
    workers: int
    kills: int
    seconds: float


def broken_promises(outcome: Outcome) -> list[str]:
    """Every promise of the demo that did not hold, as a sentence; none: exit code 0."""
    found = outcome.saga
    processing = found.words[PROCESSING]
    rules = [
        (found.double_charges == 0, f"{found.double_charges} double charges"),
        (found.orphan_charges == 0, f"{found.orphan_charges} orphan charges"),
        (found.wrong_answers == 0, f"{found.wrong_answers} wrong answers"),
        (found.surplus == 0, f"{found.surplus} effects undone more than once"),
        (processing == found.parked, f"{processing} orders processing, but {found.parked} sagas parked"),
        (
            found.parked <= PARKED_AT_MOST * found.orders,
            f"{found.parked} sagas parked, more than 2 % of the orders",
        ),
        (
            found.declined_orders == found.refused_orders,
            f"{len(found.declined_orders)} orders declined, but {len(found.refused_orders)} refused in the ledgers",
        ),
        (outcome.kills >= outcome.workers, f"only {outcome.kills} kills for {outcome.workers} workers"),
        (
            found.lost_replies >= LOST_AT_LEAST * found.orders,
            f"only {found.lost_replies} lost replies, fewer than 5 % of the orders: no test of anything",
        ),
    ]
    return [sentence for holds, sentence in rules if not holds]


def json_line(outcome: Outcome) -> str:
    """The line for programs."""
    found = outcome.saga
    return json.dumps(
        {
            "v": 1,
            "orders": found.orders,
            "confirmed": found.words[CONFIRMED],
            "declined": found.words[DECLINED],
            "try_again": found.words[TRY_AGAIN],
            "processing": found.words[PROCESSING],
            "parked": found.parked,
            "worker_kills": outcome.kills,
            "lost_replies": found.lost_replies,
            "double_charges": found.double_charges,
            "orphan_charges": found.orphan_charges,
            "wrong_answers": found.wrong_answers,
            "naive_double_charges": outcome.naive.double_charges,
            "naive_orphans": outcome.naive.orphan_charges,
            "seconds": round(outcome.seconds, 1),
        }
    )


def table(outcome: Outcome) -> str:
    """The table for people, and below it what is wrong, if anything is."""
    saga, naive = outcome.saga, outcome.naive
    rows: list[tuple[str, object, object]] = [
        ("orders", saga.orders, naive.orders),
        *(
            (word.replace("_", " "), saga.words[word], naive.words[word])
            for word in (CONFIRMED, DECLINED, TRY_AGAIN)
        ),
        ("processing", saga.words[PROCESSING], naive.words[PROCESSING]),
        ("waiting for a person", saga.parked, "-"),
        ("workers killed -9", outcome.kills, "-"),
        ("replies lost", saga.lost_replies, naive.lost_replies),
        ("double charges", saga.double_charges, naive.double_charges),
        ("orphan charges", saga.orphan_charges, naive.orphan_charges),
        ("wrong answers", saga.wrong_answers, naive.wrong_answers),
    ]
    lines = [f"  {'by the ledgers of the services':<32}{'saga':>8}{'naive':>8}"]
    lines += [f"  {name:<32}{ours!s:>8}{theirs!s:>8}" for name, ours, theirs in rows]
    broken = broken_promises(outcome)
    if broken:
        lines += ["", "  NOT as promised:", *(f"    {sentence}" for sentence in broken)]
        lines += [f"      {sentence}" for sentence in saga.sentences[:SENTENCES_SHOWN]]
        if (more := len(saga.sentences) - SENTENCES_SHOWN) > 0:
            lines.append(f"      and {more} more")
    else:
        lines += [
            "",
            f"  As promised, in {outcome.seconds:.0f} s: nobody was charged twice, and no answer was wrong.",
        ]
    return "\n".join(lines)

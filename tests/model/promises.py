"""What must hold: in every state, and of every send and every landing.

Rules that hold here: the promises are read off the service's ledger (`applied`) and the database, and judge with the
rules whole, whatever rule the protocol under test lacks; except "a verdict is true", which is about what the
protocol under test concludes.
"""

from __future__ import annotations

from tests.model.checker import Invariant
from tests.model.protocol import Rules, stage
from tests.model.world import EFFECTS, MOST_ATTEMPTS, STEPS, World

ENDS = {"parked", "completed", "compensated"}


def ended(world: World) -> bool:
    """Whether the saga has ended, or waits for a person."""
    return world.saga.status in ENDS


def invariants(rules: Rules) -> dict[str, Invariant[World]]:
    """What must hold in every state, by name."""
    whole = Rules(rules.profile)
    named: dict[str, Invariant[World]] = {
        "no effect happens twice": lambda w: max(w.applied) <= 1,
        "nothing is undone that did not land": lambda w: all(
            w.applied[e + STEPS] <= w.applied[e] for e in range(STEPS)
        ),
        "completed: each effect once": lambda w: w.saga.status != "completed" or w.applied == (1, 1, 0, 0),
        "compensated: net zero": lambda w: (
            w.saga.status != "compensated" or w.applied[:STEPS] == w.applied[STEPS:]
        ),
        "a verdict is true": lambda w: _true(rules, w),
        "parked only with cause": lambda w: w.saga.status != "parked" or _cause(whole, w),
    }
    for promise in ACTS:
        named[promise] = _acted(promise)
    return named


ACTS = (
    "no send without a durable intent",
    "nothing is compensated while an effect is in doubt",
    "only what landed is compensated",
    "compensated in reverse order",
    "nothing forward happens after the turn",
    "no forward intent after a turn or a cancel",
    "only who has a row and the claim writes",
    "a batch is written once",
)
"""Promises about acts: the act that breaks one leaves its name in the state."""


def _acted(promise: str) -> Invariant[World]:
    return lambda world: world.breach != promise


def judge_send(rules: Rules, before: World, after: World, effect: int, attempt: int) -> World:
    """The world after a send, with the promise that the send has broken."""
    kept = before.saga.kept
    if len(kept.rows[effect].outs) < attempt:
        return after.broken("no send without a durable intent")
    if effect < STEPS:
        return after
    stages = [stage(Rules(rules.profile), row) for row in kept.rows[:STEPS]]
    if "doubt" in stages:
        return after.broken("nothing is compensated while an effect is in doubt")
    if stages[effect - STEPS] != "landed":
        return after.broken("only what landed is compensated")
    later = range(effect - STEPS + 1, STEPS)
    if any(before.applied[e] > before.applied[e + STEPS] for e in later):
        return after.broken("compensated in reverse order")
    return after


def judge_landing(before: World, after: World, effect: int) -> World:
    """The world after a landing, with the promise that it has broken."""
    happened = after.applied[effect] > before.applied[effect]
    if effect < STEPS and happened and before.saga.kept.back:
        return after.broken("nothing forward happens after the turn")
    return after


def _true(rules: Rules, world: World) -> bool:
    """What the evidence in the database is taken to prove is what the service's ledger says."""
    for effect in range(EFFECTS):
        verdict = stage(rules, world.saga.kept.rows[effect])
        if verdict == "landed" and not world.applied[effect]:
            return False
        if verdict in {"refused", "clear"} and world.applied[effect]:
            return False
    return True


def _cause(whole: Rules, world: World) -> bool:
    """An effect in doubt, or an undo that was refused, or that no send is left for (S22, S29)."""
    rows = world.saga.kept.rows
    stages = [stage(whole, row) for row in rows]
    stuck = any(
        stages[e] == "refused" or (stages[e] == "clear" and len(rows[e].outs) >= MOST_ATTEMPTS)
        for e in range(STEPS, EFFECTS)
    )
    return "doubt" in stages or stuck

"""One form for worlds that no rule can tell apart, so that fewer have to be visited.

Rules that hold here: a settled effect keeps its verdict and how many attempts it had, and no more; whether quiet has
come is dropped where nothing of the effect is on its way or can still be sent.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from tests.model.protocol import Rules, stage
from tests.model.world import EFFECTS, Ghost, Memory, Row, Saga, Unit, Worker, World

SETTLED = {"landed": "s", "refused": "r", "clear": "n"}
OPEN = ("u", "n")
BUSY = {"armed", "late", "calling", "unsure"}


def form(rules: Rules) -> Callable[[World], World]:
    """The function that brings a world into its form."""

    @cache
    def row(one: Row) -> Row:
        verdict = SETTLED.get(stage(rules, one))
        return one if verdict is None else Row(verdict * len(one.outs))

    @cache
    def memory(one: Memory) -> Memory:
        return one._replace(rows=tuple(map(row, one.rows)))

    @cache
    def unit(one: Unit | None) -> Unit | None:
        return None if one is None else one._replace(after=memory(one.after))

    @cache
    def worker(one: Worker) -> Worker:
        held = None if one.memory is None else memory(one.memory)
        return one._replace(memory=held, unit=unit(one.unit))

    @cache
    def saga(one: Saga) -> Saga:
        return one._replace(kept=memory(one.kept))

    @cache
    def ghost(one: Ghost | None) -> Ghost | None:
        return (
            None
            if one is None
            else Ghost(one.worker, one.unit._replace(after=memory(one.unit.after)), one.again)
        )

    def formed(world: World) -> World:
        first, second = world.workers
        found = World(
            saga(world.saga), (worker(first), worker(second)), world.wire, world.applied, world.stored, world.quiet,
            ghost(world.ghost), world.faults, world.breach,
        )  # fmt: skip
        return found._replace(quiet=_quiet(found))

    return formed


def _quiet(world: World) -> tuple[bool, ...]:
    """The bits, without those that say nothing any more."""
    busy = {request.effect for request in world.wire}
    for worker in world.workers:
        if worker.doing in BUSY:
            busy.add(worker.effect if worker.unit is None else worker.unit.effect)
    if world.ghost is not None:
        busy |= set(range(EFFECTS))
    known = world.saga.kept.rows
    return tuple(
        bit if effect in busy or known[effect].outs[:1] in OPEN else bool(known[effect].outs)
        for effect, bit in enumerate(world.quiet)
    )

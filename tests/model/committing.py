"""Batches: what a commit writes, what its writer learns, and what becomes of one whose reply was lost.

Rules that hold here: a batch of who has no row, or not the claim, writes nothing (S33); a forward intent is taken only
if the saga goes forward and no cancel is asked for (S32); a saga ends, parks or rests only if its owner has seen all
evidence; a batch whose reply was lost is found, or written again, and its ghost is refused (S6).
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.checker import Event
from tests.model.protocol import Rules, decide
from tests.model.world import (
    NAMES,
    NOBODY,
    STEPS,
    WORKERS,
    Ghost,
    Memory,
    Row,
    Saga,
    Unit,
    Worker,
    World,
    merged,
    with_outcome,
    with_row,
)

Events = Iterator[Event[World]]
REST = {"rest": "ready", "park": "parked", "completed": "completed", "compensated": "compensated"}
"""Units that give the claim back, and the status that they leave."""


def commits(rules: Rules, world: World) -> Events:
    """A worker writes what follows from its memory: it is told so, or the reply is lost, or the batch is on its way."""
    for who in WORKERS:
        worker = world.workers[who]
        if worker.doing != "deciding" or worker.memory is None:
            continue
        for unit, fault in _units(rules, world, worker.memory):
            if world.faults or not fault:
                before = world._replace(faults=world.faults - fault)
                yield from _commit(rules, before, who, unit, fault=fault)


def _units(rules: Rules, world: World, memory: Memory) -> Iterator[tuple[Unit, bool]]:
    do = decide(rules, memory, world.quiet)
    if do.unit is not None and not (rules.without == "intent before send" and do.unit.kind == "intent"):
        yield do.unit, False
    if do.what != "write":
        yield Unit("rest", memory), False
    if do.what == "probe":
        yield Unit("park", memory), True  # S22: probes that got no answer have used up the budget


def _commit(rules: Rules, world: World, who: int, unit: Unit, *, fault: bool) -> Events:
    worker, said = world.workers[who], f"W{who} commits {_called(unit)}"
    if not _written(rules, world, who):
        yield Event(
            f"{said}: refused, and it learns that the saga is lost", _lost(world, who, unit.after), fault
        )
        return
    done = _apply(rules, world, who, unit)
    yield Event(said, _told(rules, done, who, unit), fault)
    if world.faults:
        less = world._replace(faults=world.faults - 1)
        unsure = Worker(worker.row, "unsure", unit=unit)
        landed = done._replace(faults=less.faults).worker(who, unsure._replace(landed=True))
        yield Event(f"{said}, and the reply is lost", landed, fault=True)
        if world.ghost is None:
            ghost = less._replace(ghost=Ghost(who, unit))
            after = (
                _armed(rules, ghost, who, unit)
                if rules.without == "a commit is verified" and unit.kind == "intent"
                else ghost.worker(who, unsure)
            )
            yield Event(
                f"{said}, the connection breaks, and the batch is still on its way", after, fault=True
            )


def recoveries(rules: Rules, world: World) -> Events:
    """After a lost reply: the number in the worker's own row tells whether the batch is there (S6)."""
    for who in WORKERS:
        worker = world.workers[who]
        if worker.doing != "unsure" or worker.unit is None:
            continue
        unit = worker.unit
        if not worker.landed and rules.without == "absence needs a lock" and unit.kind == "intent":
            before = unit.after.rows[unit.effect]
            never = with_row(unit.after, unit.effect, before._replace(outs=before.outs[:-1]))
            gave_up = Worker(worker.row, "deciding", memory=never._replace(cancel=True))
            yield Event(
                f"W{who} reads no intent, and takes it that it never began", world.worker(who, gave_up)
            )
        elif worker.landed and worker.row:
            gone = world.saga.owner != who
            if gone and unit.kind in REST:
                yield Event(f"W{who} finds its batch committed", world.worker(who, Worker()))
            elif gone:
                yield Event(
                    f"W{who} finds its batch committed, and the saga lost", _lost(world, who, unit.after)
                )
            else:
                yield Event(f"W{who} finds its batch committed", _told(rules, world, who, unit))
        elif _written(rules, world, who):
            again = _told(rules, _apply(rules, world, who, unit), who, unit)
            if rules.without == "a batch has a number" and world.ghost is not None:
                again = again._replace(ghost=world.ghost._replace(again=True))
            yield Event(f"W{who} finds nothing of its batch, and writes it again", again)
        else:
            yield Event(f"W{who} learns that it was declared dead", _lost(world, who, unit.after))


def ghosts(rules: Rules, world: World) -> Events:
    """A batch that nobody waits for any more reaches the disk, if its fence lets it."""
    ghost = world.ghost
    if ghost is None or not _written(rules, world, ghost.worker):
        return
    who, worker = ghost.worker, world.workers[ghost.worker]
    after = _apply(rules, world, who, ghost.unit)._replace(ghost=None)
    if worker.doing == "unsure" and worker.unit == ghost.unit:
        after = after.worker(who, worker._replace(landed=True))
    if ghost.again:
        after = after.broken("a batch is written once")
    yield Event(f"the lost batch of W{who} lands: {_called(ghost.unit)}", after)


def _written(rules: Rules, world: World, who: int) -> bool:
    """Whether the fence and the claim let a batch of this worker through."""
    return world.holds(who) or rules.without == "fence and claim"


def _apply(rules: Rules, world: World, who: int, unit: Unit) -> World:
    """The world with the unit in the database."""
    kept = world.saga.kept
    if not world.holds(who):
        world = world.broken("only who has a row and the claim writes")
    rows = list(map(merged, kept.rows, unit.after.rows))
    quiet = world.quiet
    if unit.kind == "intent":
        late = unit.effect < STEPS and (kept.back or kept.cancel)
        was = kept.rows[unit.effect]
        taken = not late or rules.without == "no forward intent after the turn"
        if not taken or len(was.outs) + 1 != len(unit.after.rows[unit.effect].outs):
            rows[unit.effect] = merged(was, _without_last(unit))
        else:
            quiet = (*quiet[: unit.effect], False, *quiet[unit.effect + 1 :])
            world = world.broken("no forward intent after a turn or a cancel") if late else world
    now = kept._replace(rows=tuple(rows))
    if unit.kind == "turn":
        now = now._replace(back=True, plan=kept.plan or unit.after.plan, cancel=False)
    saga = world.saga._replace(kept=now)
    if unit.kind in REST:
        saga = _rested(saga, unit)
    ghost = None if world.ghost is not None and world.ghost.worker == who else world.ghost
    return world._replace(saga=saga, quiet=quiet, ghost=ghost)


def _rested(saga: Saga, unit: Unit) -> Saga:
    """Resting and ending are refused while there is something that the owner has not seen."""
    seen = saga.kept.rows == unit.after.rows and (saga.kept.cancel == unit.after.cancel or unit.after.back)
    if not seen:
        return saga
    back = unit.after.back
    kept = saga.kept._replace(back=back, cancel=saga.kept.cancel and not back)
    return Saga(REST[unit.kind], NOBODY, kept)


def _told(rules: Rules, world: World, who: int, unit: Unit) -> World:
    """The writer hears what its batch did, and what it found in the saga's row besides."""
    if unit.kind in REST and world.saga.owner != who:
        return world.worker(who, Worker())
    there = len(world.saga.kept.rows[unit.effect].outs) == len(unit.after.rows[unit.effect].outs)
    if unit.kind == "intent" and there:
        return _armed(rules, world, who, unit)
    return world.worker(who, Worker(world.workers[who].row, "deciding", memory=world.saga.kept))


def _armed(rules: Rules, world: World, who: int, unit: Unit) -> World:
    """S11: the budget is counted from before the commit, so that it may be spent when the commit is known."""
    attempt = len(unit.after.rows[unit.effect].outs)
    late = world.quiet[unit.effect] and rules.without != "budget before send"
    doing = "late" if late else "armed"
    return world.worker(who, Worker(world.workers[who].row, doing, unit.effect, attempt, unit.after))


def _lost(world: World, who: int, memory: Memory) -> World:
    """What the worker saw is kept as evidence (S25, S33), and a new life begins."""
    for effect, row in enumerate(memory.rows):
        for attempt, outcome in enumerate(row.outs, 1):
            if outcome != "u":
                world = witness(world, effect, attempt, outcome)
    return reborn(world, who)


def reborn(world: World, who: int) -> World:
    """A worker's next life: a new row; what its old life owned is an orphan, and its lost batch is fenced for ever."""
    saga, ghost = world.saga, world.ghost
    if saga.owner == who and saga.status == "running":
        saga = saga._replace(status="ready", owner=NOBODY)
    mine = ghost is not None and ghost.worker == who
    return world._replace(saga=saga, ghost=None if mine else ghost).worker(who, Worker())


def witness(world: World, effect: int, attempt: int, outcome: str) -> World:
    """Evidence needs no claim; it wakes a saga that is parked (S25)."""
    kept = world.saga.kept
    row = with_outcome(kept.rows[effect], attempt, outcome)
    if row == kept.rows[effect]:
        return world
    status = "ready" if world.saga.status == "parked" else world.saga.status
    return world._replace(saga=world.saga._replace(status=status, kept=with_row(kept, effect, row)))


def _without_last(unit: Unit) -> Row:
    row = unit.after.rows[unit.effect]
    return Row(row.outs[:-1], row.reads)


def _called(unit: Unit) -> str:
    if unit.kind == "intent":
        return f"the intent of {NAMES[unit.effect]}, attempt {len(unit.after.rows[unit.effect].outs)}"
    return {"turn": "the turn and its plan", "rest": "rest", "park": "parked"}.get(unit.kind, unit.kind)

"""The service and the wire: requests land in time, late, or never; replies are heard, lost, or heard too late.

Rules that hold here: a service does only what its promises allow (S14, S17, S28): it may refuse what it has no answer
for, keeps what it says it keeps, and executes whatever else arrives.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.model import promises
from tests.model.checker import Event
from tests.model.committing import witness
from tests.model.protocol import Rules
from tests.model.world import (
    NAMES,
    NOBODY,
    STEPS,
    Remembers,
    Request,
    Worker,
    World,
    put,
    with_outcome,
    with_row,
)

Events = Iterator[Event[World]]
SAID = {"s": "done", "r": "refused", "n": "shed, not executed"}


def landings(rules: Rules, world: World) -> Events:
    """A request arrives, and the service answers."""
    for request in world.wire:
        arrived = world._replace(wire=_without(world, request))
        for outcome, after in _outcomes(rules, arrived, request):
            new_refusal = outcome == "r" and arrived.stored[request.effect] != "r"
            fault = outcome == "n" or (new_refusal and request.effect >= STEPS)
            if fault and not world.faults:
                continue
            served = promises.judge_landing(
                world, after._replace(faults=after.faults - fault), request.effect
            )
            said = f"attempt {request.attempt} of {NAMES[request.effect]} arrives: {SAID[outcome]}"
            yield from _heard(rules, served, request, outcome, said, fault=fault)


def _outcomes(rules: Rules, world: World, request: Request) -> Iterator[tuple[str, World]]:
    """What the service may do. Under a new key it has never heard of the effect."""
    profile, effect = rules.profile, request.effect
    kept = world.stored[effect]
    if kept != "-" and not (rules.without == "one key an effect" and request.attempt > 1):
        yield kept, world
        return
    applied = put(world.applied, effect, world.applied[effect] + 1)
    yield "s", _store(world._replace(applied=applied), effect, "s" if profile.dedups else "-")
    yield "r", _store(world, effect, "r" if profile.remembers is Remembers.ALL else "-")
    yield "n", world


def _store(world: World, effect: int, answer: str) -> World:
    return world._replace(stored=world.stored[:effect] + answer + world.stored[effect + 1 :])


def _heard(rules: Rules, world: World, request: Request, outcome: str, said: str, *, fault: bool) -> Events:
    who, effect, attempt = request.listener, request.effect, request.attempt
    if who == NOBODY:
        yield Event(f"{said}; nobody listens", world, fault)
        return
    worker = world.workers[who]
    if worker.doing == "calling" and (worker.effect, worker.attempt) == (effect, attempt):
        yield Event(f"{said}; W{who} hears it", world.worker(who, _observed(worker, request, outcome)), fault)
        if world.faults:
            deaf = world.worker(who, Worker(worker.row, "deciding", memory=worker.memory))
            yield Event(f"{said}; the reply is lost", deaf._replace(faults=world.faults - 1), fault=True)
        return
    yield Event(f"{said}; nobody listens any more", world, fault)
    if worker.doing == "deciding" and world.holds(who):
        yield Event(
            f"{said}; W{who} hears it late", world.worker(who, _observed(worker, request, outcome)), fault
        )
    elif rules.without == "who lost the claim writes only evidence" and world.saga.owner not in {who, NOBODY}:
        kept = world.saga.kept
        row = kept.rows[effect]
        said_all = with_row(kept, effect, row._replace(outs=outcome * len(row.outs), reads=""))
        wrong = world._replace(saga=world.saga._replace(kept=said_all))
        yield Event(f"{said}; W{who} hears it late, and writes it as the effect's outcome", wrong, fault)
    else:
        yield Event(
            f"{said}; W{who} hears it late, and adds it as evidence",
            witness(world, effect, attempt, outcome),
            fault,
        )


def _observed(worker: Worker, request: Request, outcome: str) -> Worker:
    memory = worker.memory
    assert memory is not None
    row = with_outcome(memory.rows[request.effect], request.attempt, outcome)
    return Worker(worker.row, "deciding", memory=with_row(memory, request.effect, row))


def _without(world: World, request: Request) -> tuple[Request, ...]:
    return tuple(r for r in world.wire if r != request)

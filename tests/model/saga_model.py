"""The protocol of one saga with two steps, two workers and a hostile service, as guarded actions.

Rules that hold here: an intent is durable and known to be durable before its call (S5, S6); only who has a row and
the claim writes, and whoever lost them adds evidence and nothing else (S25, S33); a batch is written once (S6); a call
whose budget is spent is not made (S11). Which production function each action stands for: docs/model.md.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.model import promises
from tests.model.checker import Action, Event, Model
from tests.model.committing import commits, ghosts, reborn, recoveries
from tests.model.form import form
from tests.model.protocol import Rules, decide, stage
from tests.model.serving import landings
from tests.model.world import (
    EFFECTS,
    NAMES,
    NOBODY,
    STEPS,
    WORKERS,
    Request,
    Row,
    Worker,
    World,
    with_outcome,
    with_row,
)

Events = Iterator[Event[World]]


def model(rules: Rules) -> Model[World]:
    """The protocol under these rules."""
    actions: list[Action[World]] = [
        lambda w: commits(rules, w),
        lambda w: recoveries(rules, w),
        lambda w: ghosts(rules, w),
        lambda w: landings(rules, w),
        lambda w: claims(rules, w),
        lambda w: probes(rules, w),
        lambda w: sends(rules, w),
        timeouts,
        lambda w: quiets(rules, w),
        deaths,
        cancels,
        lambda w: statements(rules, w),
    ]
    formed = form(rules)

    def in_form(action: Action[World]) -> Action[World]:
        return lambda w: [Event(e.words, formed(e.after), e.fault) for e in action(w)]

    actions = [in_form(action) for action in actions]
    return Model(
        (World(faults=rules.profile.faults),), tuple(actions), promises.invariants(rules), promises.ended
    )


def claims(rules: Rules, world: World) -> Events:
    """An idle worker takes the saga: a ready one, an orphan, or its own of a claim whose reply was lost."""
    saga = world.saga
    orphan = saga.status == "running" and saga.owner != NOBODY and not world.workers[saga.owner].row
    for who in WORKERS:
        worker = world.workers[who]
        own = saga.status == "running" and saga.owner == who and rules.without != "a lost claim is found"
        if worker.doing != "idle" or not worker.row or not (saga.status == "ready" or orphan or own):
            continue
        if (
            who == 1
            and world.workers[0] == Worker() == worker
            and not world.wire
            and world.ghost is None
            and not own
        ):
            continue  # both are the same: it is enough that W0 does
        memory = saga.kept
        if rules.without == "no intent is taken for never sent":
            memory = memory._replace(rows=tuple(Row(r.outs.replace("u", "n"), r.reads) for r in memory.rows))
        taken = world._replace(saga=saga._replace(status="running", owner=who))
        yield Event(f"W{who} claims the saga", taken.worker(who, Worker(True, "deciding", memory=memory)))
        if world.faults and not own:
            yield Event(
                f"W{who} claims the saga, and the reply is lost",
                taken._replace(faults=world.faults - 1),
                fault=True,
            )


def probes(rules: Rules, world: World) -> Events:
    """Ask what became of an effect (S12, S13, S16, S21)."""
    for who in WORKERS:
        worker = world.workers[who]
        if worker.doing != "deciding" or worker.memory is None:
            continue
        do = decide(rules, worker.memory, world.quiet)
        if do.what != "probe":
            continue
        row = worker.memory.rows[do.effect]
        for words, reads in _answers(rules, world, do.effect, row):
            if reads != row.reads:
                told = with_row(worker.memory, do.effect, row._replace(reads=reads))
                yield Event(
                    f"W{who} probes {NAMES[do.effect]}: {words}",
                    world.worker(who, worker._replace(memory=told)),
                )


def _answers(rules: Rules, world: World, effect: int, row: Row) -> Iterator[tuple[str, str]]:
    """An answer may lag; but of two quiet ones, spaced by the staleness, the second sees what the first should have."""
    landed = world.applied[effect] > 0
    refused = world.stored[effect] == "r"
    second = row.reads == "1" and world.quiet[effect]
    if landed:
        yield "landed", "L"
    elif refused:
        yield "refused", "R"
    if not second or not (landed or refused):
        if not world.quiet[effect]:
            yield "not found (early)", "e"
        else:
            yield ("not found, quiet, again", "2") if row.reads in {"1", "2"} else ("not found, quiet", "1")


def sends(rules: Rules, world: World) -> Events:
    """The call goes out, if there is budget left (S11)."""
    for who in WORKERS:
        worker = world.workers[who]
        effect, attempt = worker.effect, worker.attempt
        if worker.doing == "late" and worker.memory is not None:
            row = with_outcome(worker.memory.rows[effect], attempt, "n")
            told = Worker(worker.row, "deciding", memory=with_row(worker.memory, effect, row))
            yield Event(
                f"W{who} finds the budget of {NAMES[effect]} spent, and does not call",
                world.worker(who, told),
            )
        unwritten = (
            worker.doing == "deciding" and worker.memory is not None and rules.without == "intent before send"
        )
        if unwritten and worker.memory is not None:
            do = decide(rules, worker.memory, world.quiet)
            if do.unit is not None and do.unit.kind == "intent":
                effect, attempt = do.effect, len(do.unit.after.rows[do.effect].outs)
                worker = Worker(worker.row, "armed", effect, attempt, do.unit.after)
        if worker.doing == "armed":
            calling = world.worker(who, worker._replace(doing="calling"))
            wire = tuple(sorted((*world.wire, Request(effect, attempt, who))))
            sent = promises.judge_send(rules, world, calling._replace(wire=wire), effect, attempt)
            yield Event(f"W{who} sends {NAMES[effect]}, attempt {attempt}", sent)


def timeouts(world: World) -> Events:
    """No reply within the budget: unknown. The body may still be open, and the request may still land, or never."""
    for who in WORKERS:
        worker = world.workers[who]
        if worker.doing == "calling" and world.faults:
            after = world.worker(who, Worker(worker.row, "deciding", memory=worker.memory))
            words = f"W{who} hears nothing of {NAMES[worker.effect]} in time"
            yield Event(words, after._replace(faults=world.faults - 1), fault=True)


def quiets(rules: Rules, world: World) -> Events:
    """All deadlines of an effect and the lateness pass: what is still on its way is lost, budgets are spent."""
    for effect in range(EFFECTS):
        if world.quiet[effect] or any(w.doing == "calling" and w.effect == effect for w in world.workers):
            continue
        known = [world.saga.kept, *(w.memory for w in world.workers if w.memory is not None)]
        if not any(memory.rows[effect].outs for memory in known):
            continue
        after = world._replace(
            quiet=(*world.quiet[:effect], True, *world.quiet[effect + 1 :]),
            wire=tuple(request for request in world.wire if request.effect != effect),
        )
        for who in WORKERS:
            worker = world.workers[who]
            if worker.doing == "armed" and worker.effect == effect and rules.without != "budget before send":
                after = after.worker(who, worker._replace(doing="late"))
        yield Event(f"the deadlines of {NAMES[effect]} and the lateness have passed", after)


def deaths(world: World) -> Events:
    """Kill -9; declared dead, and a new life; frozen and declared dead, while the old life goes on."""
    for who in WORKERS:
        worker = world.workers[who]
        if worker.doing == "down":
            yield Event(f"W{who} is declared dead; its machine begins a new life", reborn(world, who))
        elif world.faults and worker.doing != "idle":
            less = world._replace(faults=world.faults - 1)
            deaf = tuple(sorted(r._replace(listener=NOBODY) if r.listener == who else r for r in world.wire))
            yield Event(
                f"W{who} is killed",
                less._replace(wire=deaf).worker(who, Worker(worker.row, "down")),
                fault=True,
            )
            if worker.row:
                words = f"W{who} is frozen, and declared dead while it is {worker.doing}"
                yield Event(words, less.worker(who, worker._replace(row=False)), fault=True)


def cancels(world: World) -> Events:
    """A customer asks for a cancel (S31): a durable request, which the owner finds at its next commit."""
    kept = world.saga.kept
    if world.faults and not kept.cancel and not kept.back and world.saga.status in {"ready", "running"}:
        asked = kept._replace(cancel=True)
        yield Event(
            "a cancel is requested",
            world._replace(saga=world.saga._replace(kept=asked), faults=world.faults - 1),
            fault=True,
        )


def statements(rules: Rules, world: World) -> Events:
    """A person has looked into the service's books, found nothing, and says so (S37): honest, and perhaps too early."""
    saga = world.saga
    if not rules.profile.person or saga.status != "parked":
        return
    for effect, row in enumerate(saga.kept.rows):
        due = world.quiet[effect] or rules.without == "a person looks when it is quiet"
        if due and not world.applied[effect] and stage(rules, row) == "doubt":
            # Going forward a stated "never" ends the effect; going backward it allows the next send (0003).
            said = row._replace(outs=("r" if effect < STEPS else "n") * len(row.outs), reads="")
            woken = saga._replace(status="ready", kept=with_row(saga.kept, effect, said))
            yield Event(
                f"a person looks, and states that {NAMES[effect]} never happened", world._replace(saga=woken)
            )

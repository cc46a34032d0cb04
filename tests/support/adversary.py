"""Every path of one effect on a hostile service: what the rules decide, and all that the world may do about it.

The world is a value. Requests land at once, at the last moment that `lateness` allows, or never; replies get lost;
workers die before and after they sent; a service decides a refusal anew when it does not remember it; status answers
lag behind by up to `staleness`. Only `decide` and the evidence steer; time is virtual. `walk` visits every world
that can be reached and raises `Broken` with the whole history at the first that breaks a promise:

* a second effect, for a step of which a duplicate is a defect;
* an effect settled as not executed or refused that landed, or can still land;
* an effect settled as succeeded that never landed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from saga.core.decide import Accept, AwaitReply, Command, Park, Probe, Send, Settle, Wait, decide
from saga.core.evidence import (
    Evidence,
    EvidenceKind,
    Fenced,
    Intended,
    Landed,
    Lost,
    NoAnswer,
    NotFound,
    Pending,
    Phase,
    ProbeAnswer,
    Probed,
    Replied,
    SaidRefused,
)
from saga.core.facts import EffectFacts, Want
from saga.core.model import Direction, NotExecuted, Outcome, Refused, Succeeded, Unknown
from saga.core.promises import Kind, Policy, Promises, Remembers
from saga.core.verdict import verdict

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
TAKE_OVER = timedelta(milliseconds=100)
"""How soon another worker finds a lost attempt: long before its deadline."""
DECIDED: dict[str, Outcome] = {"done": Succeeded('"receipt"'), "refused": Refused("no", "no", "reply")}
UNHEARD, BUSY = Unknown("timeout"), NotExecuted("busy", rule="429")
UNREACHABLE = NotExecuted("connection refused", rule="connect")


class Broken(AssertionError):
    """A promise is broken; the text is the history."""


class Voice(StrEnum):
    """Whether the answer to a request that lands late is heard."""

    SILENT = "silent"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class Setting:
    """What is the same in every world of a walk. can_fence: a probe may fence the key. sends: where a path is cut."""

    promises: Promises
    policy: Policy
    direction: Direction = Direction.FORWARD
    jitter: float = 0.9
    can_fence: bool = False
    want_may_end: bool = True
    sends: int = 3


@dataclass(frozen=True, slots=True)
class Request:
    """A request on its way."""

    lands: datetime
    attempt: int
    voice: Voice


@dataclass(frozen=True, slots=True)
class World:
    """Everything at one moment. landed, refused: when the service did so first."""

    now: datetime = BEGIN
    want: Want = Want.WANTED
    evidence: tuple[Evidence, ...] = ()
    way: tuple[Request, ...] = ()
    effects: int = 0
    landed: datetime | None = None
    refused: datetime | None = None
    stored: str | None = None
    fenced: bool = False
    first: datetime | None = None
    deadline: datetime | None = None
    ended: datetime | None = None
    doubt: datetime | None = None
    story: tuple[str, ...] = field(default=(), compare=False)


@dataclass
class Walk:
    """What a walk saw."""

    worlds: int = 0
    ends: Counter[str] = field(default_factory=Counter[str])


def walk(setting: Setting) -> Walk:
    """Visit every world once; how they ended.

    Raises:
        Broken: a promise does not hold.
    """
    found, todo, known = Walk(), [World()], {World()}
    while todo:
        world = todo.pop()
        found.worlds += 1
        for after in _next(setting, world, found):
            if after not in known:
                known.add(after)
                todo.append(after)
    return found


def _next(setting: Setting, world: World, found: Walk) -> Iterator[World]:
    if setting.want_may_end and world.want is Want.WANTED:
        yield replace(world, want=Want.UNWANTED, story=(*world.story, "not wanted any more"))
    command = decide(_facts(setting, world), world.want, world.now, setting.jitter)
    told = replace(world, story=(*world.story, f"{world.now - BEGIN} {command}"))
    match command:
        case Send(attempt) if attempt > setting.sends:
            found.ends["cut"] += 1
            _judge(setting, told, command)
        case Send(attempt):
            yield from _send(setting, told, attempt)
        case Probe(phase):
            yield from _probe(setting, told, phase)
        case Wait(until, _):
            _hold(until > world.now, told, "it waits for the past")
            yield from _pass(setting, told, until)
        case Settle() | Accept() | Park():
            found.ends[type(command).__name__] += 1
            _judge(setting, told, command)
        case AwaitReply():
            raise Broken("nothing is in flight")


def _judge(setting: Setting, world: World, command: Command) -> None:
    """The end: whatever is still on its way may yet land."""
    for after in _pass(setting, world, BEGIN + timedelta(days=1)):
        if setting.policy.kind is Kind.EFFECT:
            _hold(after.effects <= 1, after, "two effects")
        if isinstance(command, Settle):
            proven = isinstance(command.verdict.outcome, Succeeded)
            _hold(proven or after.effects == 0, after, "it landed, and was settled as if it had not")
            _hold(not proven or after.effects > 0, after, "it never landed, and was settled as landed")


def _hold(promise: bool, world: World, sentence: str) -> None:
    if not promise:
        raise Broken(f"{sentence}\n  " + "\n  ".join(world.story))


def _facts(setting: Setting, world: World) -> EffectFacts:
    lifetime = setting.promises.key_lifetime
    return EffectFacts(
        direction=setting.direction,
        promises=setting.promises,
        policy=setting.policy,
        evidence=world.evidence,
        first_intent=world.first,
        quiet_from=None if world.deadline is None else world.deadline + setting.promises.lateness,
        key_expires=None if world.first is None or lifetime is None else world.first + lifetime,
        doubt_since=world.doubt,
        ended=world.ended,
    )


def _saw(setting: Setting, world: World, seen: Evidence, **more: object) -> World:
    """As the worker does: the observation is kept, and a doubt begins or ends with it."""
    evidence = (*world.evidence, seen)
    unknown = isinstance(verdict(evidence, setting.promises, setting.policy).outcome, Unknown)
    doubt = (world.doubt or world.now) if unknown else None
    story = (*world.story, f"{world.now - BEGIN}   {seen}")
    return replace(world, evidence=evidence, doubt=doubt, story=story, **more)  # type: ignore[arg-type]


def _send(setting: Setting, world: World, attempt: int) -> Iterator[World]:
    deadline = world.now + setting.policy.timeout
    last_moment = deadline + setting.promises.lateness
    sent = replace(
        world, first=world.first or world.now, deadline=max(world.deadline or deadline, deadline), ended=None,
        evidence=(*world.evidence, Intended(attempt, world.now, deadline)),
    )  # fmt: skip
    late = (*((Request(last_moment, attempt, voice),) for voice in Voice), ())
    for after, outcome in _arrive(setting, sent):
        yield _saw(setting, after, Replied(attempt, outcome), ended=after.now)
        yield from _unheard(setting, _say(after, "its answer is lost"), attempt, deadline)
        yield from _died(setting, _say(after, "its worker dies"), attempt)
    yield _saw(setting, sent, Replied(attempt, UNREACHABLE), ended=sent.now)
    yield _saw(setting, sent, Replied(attempt, BUSY), ended=sent.now)
    for way in late:
        story = (
            *sent.story,
            "on its way until " + str(way[0].lands - BEGIN) if way else "it will never land",
        )
        held_up = replace(sent, way=(*sent.way, *way), story=story)
        yield from _unheard(setting, held_up, attempt, deadline)
        yield from _died(setting, held_up, attempt)


def _unheard(setting: Setting, world: World, attempt: int, deadline: datetime) -> Iterator[World]:
    for after in _pass(setting, world, deadline):
        yield _saw(setting, after, Replied(attempt, UNHEARD), ended=after.now)


def _died(setting: Setting, world: World, attempt: int) -> Iterator[World]:
    for after in _pass(setting, world, world.now + TAKE_OVER):
        yield _saw(setting, after, Lost(attempt))


def _say(world: World, what: str) -> World:
    return replace(world, story=(*world.story, what))


def _pass(setting: Setting, world: World, until: datetime) -> Iterator[World]:
    """Time goes by, and what is on its way lands."""
    due = sorted((r for r in world.way if r.lands <= until), key=lambda r: (r.lands, r.attempt, r.voice))
    if not due:
        yield replace(world, now=max(world.now, until))
        return
    request = due[0]
    at = replace(world, now=max(world.now, request.lands), way=tuple(r for r in world.way if r != request))
    for after, outcome in _arrive(setting, at):
        if request.voice is Voice.LATE:
            seen = Replied(request.attempt, outcome, EvidenceKind.LATE_REPLY)
            yield from _pass(setting, _saw(setting, after, seen), until)
        else:
            yield from _pass(setting, after, until)


def _arrive(setting: Setting, world: World) -> Iterator[tuple[World, Outcome]]:
    """A request lands: what the service may do, and what it would answer."""
    promises = setting.promises
    forgotten = promises.key_lifetime is not None and world.first is not None \
        and world.now >= world.first + promises.key_lifetime  # fmt: skip
    if world.fenced:
        yield _say(world, "a fenced request arrives"), BUSY
    elif world.stored is not None and not forgotten:
        yield _say(world, f"the stored answer: {world.stored}"), DECIDED[world.stored]
    else:
        done = "done" if promises.dedups else None
        landed = replace(world, effects=world.effects + 1, landed=world.landed or world.now, stored=done)
        if setting.policy.kind is Kind.EFFECT:
            _hold(landed.effects <= 1, landed, "two effects")
        yield _say(landed, f"{world.now - BEGIN} it lands"), DECIDED["done"]
        stored = "refused" if promises.remembers is Remembers.ALL else None
        refused = replace(world, refused=world.refused or world.now, stored=stored)
        yield _say(refused, f"{world.now - BEGIN} it is refused"), DECIDED["refused"]


def _probe(setting: Setting, world: World, phase: Phase) -> Iterator[World]:
    attempt = max((e.attempt for e in world.evidence if isinstance(e, Intended)), default=0)
    for answer in _answers(setting, world):
        after = replace(world, fenced=world.fenced or isinstance(answer, Fenced))
        yield _saw(setting, after, Probed(attempt, answer, phase, world.now))


def _answers(setting: Setting, world: World) -> set[ProbeAnswer]:
    """All that a status endpoint may say: of now, or of a moment up to `staleness` ago."""
    answers: set[ProbeAnswer] = {NoAnswer("status is down")}
    for view in (world.now, world.now - setting.promises.staleness):
        landed = world.landed is not None and world.landed <= view
        refused = world.refused is not None and world.refused <= view
        if landed:
            answers.add(Landed('"receipt"'))
        elif refused:
            answers.add(SaidRefused("no", "no"))
        if not landed and not (refused and world.stored == "refused"):
            answers.add(NotFound())
    if world.way:
        answers.add(Pending(None))
    if setting.can_fence and world.effects == 0:
        answers.add(Fenced())
    return answers

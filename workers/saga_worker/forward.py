"""The way forward of one run: the function, its recorded results, and how it ends.

Rules that hold here: recorded results are given in the order in which they were first completed, one at a
time, each when the loop is idle; a recorded effect that the function does not call again, or calls with other
arguments, is *code changed* and never continues; what leaves the function other than a step's failure is a
bug, and compensates nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Protocol

from saga.calls import Wait
from saga.core.keys import request_hash
from saga.core.model import Direction, EffectStatus, EndCause, MomentKind, ParkCause, SagaStatus
from saga.definition import SagaDefinition
from saga.errors import Refused, SignalTimeout, StepFailed
from saga.signals import Signal
from saga.store.changes import SagaWrite
from saga.store.sagas import SagaRow
from saga_worker import records
from saga_worker.book import Book
from saga_worker.effects import LiveEffect, Parking
from saga_worker.flow import Begun, Broke, Failed, FellBack, Returned, SagaFlow, Waiting
from saga_worker.last_good import wish_of
from saga_worker.recalled import LiveMoment, Recalled
from saga_worker.records import CodeChanged


class Driver(Protocol):
    """For whom the function is driven: a run, which sends what it calls, or a rehearsal, which sends nothing."""

    saga: SagaRow
    definition: SagaDefinition[Any, Any]
    effects: Book

    @property
    def moments(self) -> Recalled:
        """What the function was given that no service did."""
        ...

    def nudge_all(self) -> None:
        """What effects wait for may have changed."""
        ...

    def resume(self, effect: LiveEffect) -> None:
        """Go on settling a recorded effect that the function has called again."""
        ...

    def idle(self) -> bool:
        """Whether nothing is under way that may bring a result, and nothing waits for a person."""
        ...


class Forward:
    """Drives the function of one run. `failed` and `parking` tell the run what follows."""

    def __init__(self, run: Driver) -> None:
        """Make the function's task; nothing of it runs yet."""
        try:
            value = run.definition.decode_input(run.saga.input)
        except ValueError as error:
            raise CodeChanged(
                f"the recorded input no longer fits: {error}", recorded=run.saga.input, called=str(error)
            ) from None
        self._run = run
        self._flow = SagaFlow(run.definition, value)
        self._flow.on_unwanted = run.nudge_all
        self._flow.on_draw = self._draw
        self._called: set[str] = set()
        self._waiting: dict[str, Wait[Any]] = {}
        recorded = [*run.effects.of(Direction.FORWARD), *run.moments]
        self._uncalled = dict.fromkeys(one.identity for one in recorded)
        self.failed: tuple[EndCause, StepFailed] | None = None
        self.parking: Parking | None = None

    @property
    def degradations(self) -> dict[str, FellBack]:
        """Which steps fell back, and why."""
        return self._flow.degradations

    def unwanted(self, identity: str) -> bool:
        """Whether the function gave the effect up (a sibling in its task group failed)."""
        return identity in self._flow.unwanted_steps

    def dropped(self, identity: str) -> bool:
        """Whether the function gave the wait up."""
        return identity in self._flow.dropped_waits

    def close(self) -> None:
        """Take the function out of memory. A plain callback."""
        self._flow.close()

    def advance(self) -> list[LiveEffect]:
        """Drive the function with every result that is there; the effects that it newly began."""
        fresh: list[LiveEffect] = []
        self._flow.drive()
        while True:
            fresh += self._attach(self._flow.take_begun())
            self._attach_waits(self._flow.take_waiting())
            ended = self._next_given()
            if ended is None and self._one_is_over():
                ended = self._next_given()
            if ended is None or self.parking is not None:
                break
            self._give(ended)
            self._flow.drive()
        self._require_all_called()
        self._ended(fresh)
        return fresh

    def completed(self, seen: int) -> SagaWrite | None:
        """The saga's row at its end, once the function has returned and nothing of it is open."""
        end = self._flow.end()
        if not isinstance(end, Returned):
            return None
        if end.forgotten:
            forgotten = f"step not awaited: {', '.join(end.forgotten)}"
            return records.parked(Parking(ParkCause.NOT_AWAITED, forgotten), Direction.FORWARD, seen, None)
        try:
            output = self._run.definition.encode_output(end.value)
        except Exception as error:  # noqa: BLE001 - whatever the value's type raises is the saga's bug
            reason = f"what the function returned cannot be stored: {error}"
            return records.parked(Parking(ParkCause.CODE_FAILED, reason), Direction.FORWARD, seen, None)
        records.check_end(None, self._run.effects)
        return SagaWrite(SagaStatus.COMPLETED, Direction.FORWARD, seen=seen, output=output)

    def _attach(self, begun: Iterable[Begun]) -> list[LiveEffect]:
        fresh: list[LiveEffect] = []
        for one in begun:
            self._calls(one.call.identity, otherwise=self._run.moments.get(one.call.identity))
            effect = self._run.effects.get(one.call.identity, Direction.FORWARD)
            if effect is None:
                fresh.append(self._run.effects.new(one))
            else:
                _require_same_request(effect, one)
                effect.wish = wish_of(one.call)
                self._run.resume(effect)
        return fresh

    def _draw(self, identity: str, kind: MomentKind, position: int) -> object:
        self._called.add(identity)
        if (
            self._run.effects.get(identity, Direction.FORWARD) is None
        ):  # else a step of this name is not called
            self._uncalled.pop(identity, None)
        return self._run.moments.draw(identity, kind, position)

    def _attach_waits(self, waiting: list[Waiting]) -> None:
        for one in waiting:
            identity = one.call.identity
            self._waiting[identity] = one.call
            self._calls(identity, otherwise=self._run.effects.get(identity, Direction.FORWARD))
        self._run.moments.begin(one for one in waiting if not self.dropped(one.call.identity))

    def _calls(self, identity: str, *, otherwise: object) -> None:
        """The function has called this. otherwise: what is recorded under its identity as another kind of thing."""
        self._called.add(identity)
        self._uncalled.pop(identity, None)
        if otherwise is not None:
            raise CodeChanged(
                f"{identity} is recorded as a step where the function waits, or the other way round",
                recorded=identity,
                called=identity,
            )

    def _next_given(self) -> LiveEffect | LiveMoment | None:
        identity = self._run.effects.next_ended()
        if identity is None:
            return None
        return self._run.moments.get(identity) or self._run.effects.get(identity, Direction.FORWARD)

    def _one_is_over(self) -> bool:
        """Whether a wait ends now. It is numbered only when it is its turn, so that what a sibling drops takes no signal."""
        return self.parking is None and self._flow.end() is None and self._run.moments.end_next()

    def _give(self, ended: LiveEffect | LiveMoment) -> None:
        if not self._flow.gives(ended.identity):
            raise CodeChanged(
                f"{ended.identity} is recorded next, and the function did not call it",
                recorded=ended.identity,
                called=sorted(self._called),
            )
        if isinstance(ended, LiveEffect):
            self._give_effect(ended)
        else:
            self._give_moment(ended)

    def _give_moment(self, moment: LiveMoment) -> None:
        signal = self._waiting[moment.identity].signal
        if signal is None:
            self._flow.give(moment.identity, None)
        elif moment.signal is None:
            self._flow.fail(moment.identity, SignalTimeout(signal.name))
        else:
            self._flow.give(moment.identity, typed_payload(signal, moment))

    def _give_effect(self, effect: LiveEffect) -> None:
        if effect.unstorable:
            reason = f"{effect.identity} landed with a result that cannot be stored"
            self.parking = Parking(ParkCause.UNSTORABLE, reason, {"step": effect.identity})
            return
        match effect.status:
            case EffectStatus.SUCCEEDED:
                self._flow.give(effect.identity, typed_result(effect))
            case EffectStatus.NOT_EXECUTED if effect.stand_in is not None:
                value = typed_result(effect, effect.stand_in.value)
                if not self.unwanted(effect.identity):  # else nobody is given it
                    self._flow.degraded(effect.identity, str(effect.failure()), effect.stand_in.age)
                self._flow.give(effect.identity, value)
            case EffectStatus.ACCEPTED:
                self._flow.degraded(effect.identity, "its outcome is unknown, and the step accepts that")
                self._flow.give(effect.identity, None)
            case _:
                self._flow.fail(effect.identity, effect.failure())

    def _require_all_called(self) -> None:
        if self._uncalled and self.parking is None:
            missing = list(self._uncalled)
            raise CodeChanged(
                f"{missing[0]} is recorded, and the function goes on without having called it",
                recorded=missing,
                called=sorted(self._called),
            )

    def _ended(self, fresh: list[LiveEffect]) -> None:
        """What follows when the function has come to its end, or waits for nothing that will come."""
        match self._flow.end():
            case Failed(error):
                self.failed = (_cause(error), error)
            case Broke(error, detail):
                reason = f"{type(error).__name__}: {error}"
                self.parking = Parking(ParkCause.CODE_FAILED, reason, {"traceback": records.clean(detail)})
            case Returned():
                pass
            case None:
                if not fresh and self.parking is None and self._run.idle():
                    reason = "the function waits for something that no step will bring"
                    self.parking = Parking(ParkCause.CODE_FAILED, reason)
                return
        for effect in fresh:  # begun in the very turn in which it ended: nothing was written, nothing is
            self._run.effects.drop(effect)
        fresh.clear()
        self._run.moments.forget_fresh()


def _cause(error: StepFailed) -> EndCause:
    match error:
        case Refused():
            return EndCause.REFUSED
        case SignalTimeout():
            return EndCause.TIMED_OUT
        case _:
            return EndCause.NOT_EXECUTED


def typed_payload(signal: Signal[Any], moment: LiveMoment) -> object:
    """What was sent, as the function gets it."""
    try:
        return signal.decode(moment.payload or "null")
    except ValueError as error:
        raise CodeChanged(
            f"the signal that {moment.identity} was given no longer fits: {error}",
            recorded=json.loads(moment.payload or "null"),
            called=str(error),
        ) from None


def landed_result(effect: LiveEffect) -> object:
    """The result of an effect that landed, in time or late, as its compensation gets it."""
    return typed_result(effect) if effect.late is None else typed_result(effect, effect.late.result)


def typed_result(effect: LiveEffect, text: str | None = None) -> object:
    """The effect's result, as the function and a compensation get it; or the one in `text`."""
    try:
        return effect.result() if text is None else effect.step.decode_result(text)
    except ValueError as error:
        raise CodeChanged(
            f"the recorded result of {effect.identity} no longer fits: {error}",
            recorded=effect.identity,
            called=str(error),
        ) from None


def _require_same_request(effect: LiveEffect, begun: Begun) -> None:
    step = begun.call.step
    if request_hash(step.service.name, step.name, begun.call.arguments) != effect.request_hash:
        raise CodeChanged(
            f"{effect.identity} was recorded with other arguments",
            recorded=json.loads(effect.arguments_text),
            called=json.loads(begun.call.arguments),
        )

"""One attempt, or one probe: the only place where a service is called.

Rules that hold here: what a body raises is an outcome only by proof, everything else is unknown (S2); the
budget holds for async bodies and for threads alike; a body that has not returned is *open*, and its late
result is still an observation (S11, S25); a probe that fails is no evidence (S21).
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import math
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, cast

import structlog

from saga import answers, errors
from saga.calls import Call, current_call
from saga.core import evidence as seen
from saga.core.model import NotExecuted, Outcome, Refused, Succeeded, Unknown
from saga.core.verdict import UNSTORABLE
from saga.logs import log
from saga.ports import ports
from saga.service import Service
from saga.steps import Compensation
from saga_worker.effects import LiveEffect
from saga_worker.records import clean

GRACE_S = 0.05
"""How long a cancelled body may take to return before it counts as open."""
SHOWN = 500
"""So much of an unstorable result is kept for people."""
LONGEST_S = 30 * 86400.0
"""The longest that a service may ask us to wait."""


Handling = tuple[bool, Callable[[], Any]]
"""Whether it is async, and what to call: a coroutine then, else it blocks."""


class Performer:
    """Calls bodies and probes. threads: how many `def` bodies may run at once."""

    def __init__(self, threads: int) -> None:
        """Make the pool; it starts threads when they are needed."""
        self.bodies: Counter[str] = Counter()
        self._threads = ports().threads(threads)

    async def attempt(self, effect: LiveEffect, call: Call, late: Callable[[Outcome], None]) -> Outcome:
        """Make one attempt; `late` is told when a body returns after its budget."""
        started = self._start(call, *self.body(effect, call))
        try:
            await asyncio.wait({started.end}, timeout=max(call.remaining(), 0.001))
            if not started.end.done():
                started.give_up()
                await asyncio.wait({started.end}, timeout=GRACE_S)
        except asyncio.CancelledError:  # the worker stops: what comes of it now is nobody's to tell
            started.give_up()
            raise
        if started.end.done():
            return _outcome(effect, started.end)
        self.bodies[effect.token] += 1

        def returned(body: asyncio.Future[Any]) -> None:
            self.bodies -= Counter([effect.token])  # and forget the name at zero
            late(_outcome(effect, body))

        started.end.add_done_callback(returned)
        return Unknown(
            f"no reply within {effect.policy.timeout.total_seconds():g} s; the call is still running"
        )

    async def probe(self, effect: LiveEffect, call: Call) -> seen.ProbeAnswer:
        """Ask what became of the effect."""
        asked = self._start(call, *self.question(effect, call))
        try:
            await asyncio.wait({asked.end}, timeout=max(call.remaining(), 0.001))
        finally:
            asked.give_up()
        if not asked.end.done():
            return seen.NoAnswer(f"no answer within {effect.policy.timeout.total_seconds():g} s")
        return _answer(effect, asked.end)

    def body(self, effect: LiveEffect, call: Call) -> Handling:
        """What makes an attempt: the step's body, or its compensation. A simulation puts a stand-in here."""
        handlers = effect.handlers
        if isinstance(handlers, Compensation):
            result = effect.undoes[0] if effect.undoes else None
            return handlers.is_async, lambda: handlers.invoke(call, result, effect.arguments)
        return handlers.is_async, lambda: handlers.invoke(call, effect.arguments)

    def question(self, effect: LiveEffect, call: Call) -> Handling:
        """What asks about it: the probe. A simulation puts a stand-in here."""
        handlers = effect.handlers
        assert handlers.probe is not None, f"{effect.identity} has no probe"
        if isinstance(handlers, Compensation):
            result = effect.undoes[0] if effect.undoes else None
            return handlers.probe.is_async, lambda: handlers.invoke_probe(call, result, effect.arguments)
        return handlers.probe.is_async, lambda: handlers.invoke_probe(call, effect.arguments)

    def shutdown(self) -> None:
        """Wait for no thread: what they do late is somebody else's evidence."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _start(self, call: Call, is_async: bool, body: Callable[[], Any]) -> _Started:  # noqa: FBT001
        context = contextvars.copy_context()
        context.run(_enter, call)
        if is_async:
            task = asyncio.get_running_loop().create_task(_awaited(body), context=context)
            return _Started(task, task.cancel)

        def in_thread() -> Any:
            call.check()  # a thread that had to wait for its turn may be too late to send
            return context.run(body)

        queued = self._threads.submit(in_thread)
        # The queue's own future is cancelled, and never the one that wraps it: that one would look ended at once,
        # although its thread goes on, and what the thread brings late would be lost.
        return _Started(asyncio.wrap_future(queued), queued.cancel)


@dataclass(frozen=True, slots=True)
class _Started:
    """A handler that was started. end: done when it has returned, whatever was given up before."""

    end: asyncio.Future[Any]
    give_up: Callable[[], object]


def _enter(call: Call) -> None:
    current_call.set(call)
    structlog.contextvars.bind_contextvars(saga_id=call.saga, step=call.step, attempt=call.attempt)


async def _awaited(body: Callable[[], Any]) -> Any:
    try:
        return await cast("Coroutine[Any, Any, Any]", body())
    except SystemExit as error:  # a step's own trouble: it must not end the worker's loop
        raise RuntimeError(f"the step called sys.exit({error.code})") from error


def _outcome(effect: LiveEffect, body: asyncio.Future[Any]) -> Outcome:
    """What an attempt that has come to its end proves about itself."""
    if body.cancelled() and not effect.handlers.is_async:
        return NotExecuted("no thread was free within the budget", rule="no thread")
    if body.cancelled():
        return Unknown(f"no reply within {effect.policy.timeout.total_seconds():g} s")
    error = body.exception()
    if error is not None:
        return proven(error, effect.step.service)
    value = body.result()
    if isinstance(effect.handlers, Compensation):
        return Succeeded("null")
    try:
        return Succeeded(effect.step.encode_result(value))
    except Exception as refusal:  # noqa: BLE001 - whatever the value's type raises, the verdict is never lost
        reason = _said(refusal)
        log.warning("result_unstorable", saga_step=effect.identity, reason=reason)
        shown = _shown(value).encode("ascii", "backslashreplace").decode()[:SHOWN].replace("\\", "/")
        return Succeeded(f'{{"unstorable":{_quoted(reason)},"value":{_quoted(shown)}}}', UNSTORABLE)


def _quoted(text: str) -> str:
    return json.dumps(text.replace("\x00", ""))


def _said(error: BaseException) -> str:
    """What an exception says, in what can be stored; it may be anybody's, and raise when it is asked."""
    try:
        return clean(str(error))[:SHOWN]
    except Exception:  # noqa: BLE001 - somebody's __str__
        return type(error).__name__


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - somebody's __repr__
        return f"a {type(value).__name__} that cannot be shown"


def _seconds(after: float | None) -> float | None:
    """A `retry_after` that arithmetic survives: a service may say anything."""
    return min(max(after, 0.0), LONGEST_S) if after is not None and math.isfinite(after) else None


def _classified(error: BaseException, service: Service) -> BaseException | None:
    if service.classify is None or isinstance(error, errors.Refused | errors.NotExecuted | errors.Unknown):
        return error
    try:
        return service.proves(error)
    except Exception:  # noqa: BLE001 - somebody's code, and all of it is unknown
        log.exception("classify_failed", service=service.name)
        return None  # a classifier that fails has proven nothing


def proven(error: BaseException, service: Service) -> Outcome:
    """What an exception proves: the step's own word, then the service's classifier, else nothing."""
    match _classified(error, service):
        case errors.Refused(code=code, message=message, rule=rule, status=status):
            kept = service.promises.replies.kept(status)
            return Refused(str(code), str(message), clean(rule or "raised by the step"), kept)
        case errors.NotExecuted(reason=reason, retry_after=after, rule=rule):
            return NotExecuted(str(reason), clean(rule or "raised by the step"), _seconds(after))
        case errors.Unknown(reason=reason, retry_after=after, hint=hint):
            return Unknown(clean(str(reason)), hint, _seconds(after))
        case _:
            return Unknown(f"{type(error).__name__}: {_said(error)}")


def _answer(effect: LiveEffect, asked: asyncio.Future[Any]) -> seen.ProbeAnswer:
    if asked.cancelled():
        return seen.NoAnswer("cancelled")
    error = asked.exception()
    if isinstance(error, errors.Refused):
        log.warning("probe_raised_refused", saga_step=effect.identity, hint="return it")
        return seen.NoAnswer("the probe raised Refused: return it")
    if error is not None:
        return seen.NoAnswer(f"{type(error).__name__}: {_said(error)}")
    answer: answers.Answer[Any] = asked.result()
    match answer:
        case answers.Landed(result=result, also=also):
            return _landed(effect, result, also)
        case errors.Refused(code=code, message=message):
            return seen.SaidRefused(code, message)
        case answers.NotFound():
            return seen.NotFound()
        case answers.Pending(retry_after=after):
            return seen.Pending(_seconds(after))
        case answers.Fenced():
            return seen.Fenced()
        case _:  # pyright: ignore[reportUnnecessaryComparison] - a probe without types may return anything
            return seen.NoAnswer(f"the probe returned {clean(_shown(answer))[:SHOWN]}, which is no answer")


def _landed(effect: LiveEffect, result: object, also: tuple[object, ...]) -> seen.ProbeAnswer:
    if isinstance(effect.handlers, Compensation):
        return seen.Landed("null", tuple("null" for _ in also))
    try:
        encode = effect.step.encode_result
        return seen.Landed(encode(result), tuple(encode(one) for one in also))
    except Exception as refusal:  # noqa: BLE001 - whatever the value's type raises
        return seen.NoAnswer(f"it landed, with a result that cannot be stored: {_said(refusal)}")

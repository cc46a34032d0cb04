"""What is wrong with definitions, every problem as one sentence that says what to do.

Rules that hold here: nothing raises, everything is collected, so that a person sees the whole list at once;
the order is saga, step, compensation, service.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from saga.arguments import parameter_problems
from saga.call import Call
from saga.core.durations import show
from saga.core.model import MomentKind
from saga.core.promises import InDoubt, Kind, Late
from saga.definition import SagaDefinition
from saga.discovery import by_name, by_signal_name, signals_in, steps_in
from saga.handlers import hints_of, is_async, own_parameters, signature_of
from saga.service import Service
from saga.signals import Signal
from saga.steps import Compensation, Step
from saga.values import Untypable

_NAME = re.compile(r"[\w.:-]{1,100}")
_NAME_RULE = "letters, digits and _ . : - only, at most 100"
_RESERVED: frozenset[str] = frozenset(MomentKind)
MAX_VERSION = 2**31 - 1


def saga_problems(definition: SagaDefinition[Any, Any]) -> list[str]:
    """What is wrong with the saga function itself; its steps are `step_problems`' business."""
    found: list[str] = []
    if not _NAME.fullmatch(definition.name):
        found.append(f"its name may have {_NAME_RULE}")
    if not 1 <= definition.version <= MAX_VERSION:
        found.append("version must be 1 or more")
    if definition.deadline is not None and definition.deadline <= timedelta(0):
        found.append("deadline must be more than zero")
    if not is_async(definition.function):
        found.append("a saga must be `async def`")
    parameters = list(signature_of(definition.function).parameters.values())
    named = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if len(parameters) != 1 or parameters[0].kind not in named:
        found.append(f"a saga takes exactly one input, not {len(parameters)}: make one dataclass of them")
    elif parameters[0].annotation is inspect.Parameter.empty:
        found.append(f"its input {parameters[0].name} has no type: annotate it, inputs are stored by type")
    else:
        found += _untypable("the input's type", lambda: definition.input)
    found += _return_problems(definition.function, lambda: definition.output)
    found += by_name([*definition.given, *steps_in(definition.function)])[1]
    found += _pivot_problems(definition)
    found += _signal_problems(definition)
    return [f"saga {definition.name}: {one}" for one in found]


def step_problems(step: Step[..., Any]) -> list[str]:
    """What is wrong with a step, its probe and its compensation."""
    found = list(step.faults)
    if not _NAME.fullmatch(step.name):
        found.append(f"its name may have {_NAME_RULE}")
    found += _signature_problems(step)
    found += _undo_problems(step)
    found += _settling_problems(step)
    found += _late_problems(step)
    found += step.policy.problems(step.service.promises)
    if step.probe is not None:
        found += step.probe.problems("status handler", ["call"], own_parameters(step.function))
    if step.compensation is not None:
        found += _compensation_problems(step.compensation)
    return [f"step {step.name}: {one}" for one in found]


def service_problems(services: Iterable[Service]) -> list[str]:
    """What no service can promise, and two services of one name that promise different things."""
    found: list[str] = []
    named: dict[str, Service] = {}
    for service in services:
        other = named.setdefault(service.name, service)
        if other is service:
            found += [f"service {service.name}: {one}" for one in service.promises.problems()]
        elif other.promises != service.promises:
            found.append(f"service {service.name}: two of this name promise different things: make it one")
    return found


def _signature_problems(step: Step[..., Any]) -> list[str]:
    parameters = list(signature_of(step.function).parameters.values())
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if not parameters or parameters[0].kind not in positional:
        return ["its first parameter must be `call: Call`"]
    found = parameter_problems(step.function)
    if not found:
        found += _untypable("a parameter's type", lambda: step.arguments)
    try:
        first = hints_of(step.function).get(parameters[0].name, Call)
    except NameError:
        first = Call  # told already, with the name that is missing
    if first is not Call:
        found.append("its first parameter must be `call: Call`")
    return found + _return_problems(step.function, lambda: step.result)


def _return_problems(function: Callable[..., Any], typed: Callable[[], object]) -> list[str]:
    if signature_of(function).return_annotation is inspect.Signature.empty:
        return [
            "it has no return type: annotate it (-> None when it gives nothing), results are stored by type"
        ]
    return _untypable("the return type", typed)


def _untypable(what: str, typed: Callable[[], object]) -> list[str]:
    try:
        typed()
    except NameError as error:
        return [
            f"an annotation is not there at run time ({error}): import it outside TYPE_CHECKING, at module level"
        ]
    except Untypable as error:
        return [f"{what} has no JSON: {error}"]
    return []


def _undo_problems(step: Step[..., Any]) -> list[str]:
    reads = step.policy.kind is Kind.READS
    if step.undo not in (None, "nothing"):
        return [f'undo is "nothing" or left out, not {step.undo!r}']
    if step.compensation is not None and step.undo is not None:
        return ['it has a compensation and says undo="nothing": keep one']
    if step.compensation is not None and reads:
        return ["reads=True changes nothing, so there is nothing to compensate: drop one"]
    if step.compensation is None and step.undo is None and not reads:
        return [f'say how it is undone: @{step.name}.compensate, undo="nothing", or reads=True']
    return []


def _late_problems(step: Step[..., Any]) -> list[str]:
    found: list[str] = []
    if step.policy.late is Late.COMPENSATE and step.compensation is None:
        found.append(f'late="compensate" has nothing to compensate with: add @{step.name}.compensate')
    if step.policy.watch_for is not None and step.probe is None:
        found.append(f"watch_for has nobody to ask: add @{step.name}.status, or drop it")
    if step.policy.pivot and step.compensation is not None:
        found.append("after its pivot a saga only goes forward: drop the compensation, or pivot=True")
    return found


def _signal_problems(definition: SagaDefinition[Any, Any]) -> list[str]:
    """A wait has its name among the steps of its saga, and its payload is stored."""
    signals = [*definition.given_signals, *signals_in(definition.function)]
    named, found = by_signal_name(signals)
    for signal in named.values():
        found += _problems_of(signal, taken=_RESERVED | set(definition.steps))
    return found


def _problems_of(signal: Signal[Any], *, taken: frozenset[str]) -> list[str]:
    found = _untypable(f"the payload of signal {signal.name}", lambda: signal.typed)
    if not _NAME.fullmatch(signal.name):
        found.append(f"the name of signal {signal.name!r} may have {_NAME_RULE}")
    elif signal.name in taken:
        found.append(f"a signal must not be named {signal.name}, as a step or a part of saga is: rename it")
    return found


def _pivot_problems(definition: SagaDefinition[Any, Any]) -> list[str]:
    """After the pivot nothing is undone, so what comes behind it must not need an undo (S30)."""
    steps = list(definition.steps.values())
    pivots = [step.name for step in steps if step.policy.pivot]
    if len(pivots) > 1:
        return [f"it has {len(pivots)} pivots, {', '.join(pivots)}: keep one"]
    after = steps[[step.name for step in steps].index(pivots[0]) + 1 :] if pivots else []
    return [
        f"{step.name} stands behind the pivot {pivots[0]} and would never be undone: call it before, "
        'or say undo="nothing"'
        for step in after
        if step.compensation is not None
    ]


def _settling_problems(step: Step[..., Any]) -> list[str]:
    found: list[str] = []
    name, reads = step.name, step.policy.kind is Kind.READS
    dedups = step.service.promises.dedups
    settles = step.probe is not None or dedups or step.policy.kind is not Kind.EFFECT
    undo = step.compensation
    undo_settles = undo is None or undo.probe is not None or dedups
    if reads and step.probe is not None:
        found.append("reads=True is retried freely and never asked about: drop the status handler")
    if not settles and not step.at_most_once:
        found.append(
            f"it can neither be asked nor repeated: add @{name}.status, a service that remembers keys, "
            "repeatable=True, or at_most_once=True (in doubt it then waits for a person)"
        )
    if undo is not None and not undo_settles and not step.at_most_once:
        found.append(
            f"its compensation {undo.name} can neither be asked nor repeated: add @{undo.name}.status, "
            "a service that remembers keys, or at_most_once=True (in doubt it then waits for a person)"
        )
    if step.at_most_once and settles and undo_settles:
        found.append("at_most_once=True, but a doubt about it can be settled: drop at_most_once")
    if step.policy.in_doubt is InDoubt.ACCEPT:
        found += _accept_problems(step)
    return found


def _accept_problems(step: Step[..., Any]) -> list[str]:
    found: list[str] = []
    if step.undo != "nothing":
        found.append(
            'in_doubt="accept" is only for undo="nothing": what may have happened could not be undone'
        )
    try:
        admits = step.result.admits_none()
    except (KeyError, NameError, Untypable):
        return found  # told already: the return type
    if not admits:
        found.append('in_doubt="accept" gives None when it accepts: the return type must admit None')
    return found


def _compensation_problems(undo: Compensation[Any, ...]) -> list[str]:
    parameters = own_parameters(undo.step.function)
    found = list(undo.faults)
    found += undo.handler.problems("compensation", ["call", "result"], parameters)
    if undo.probe is not None:
        found += undo.probe.problems("status handler", ["call", "result"], parameters)
    return found


def deadline_warnings(definition: SagaDefinition[Any, Any]) -> list[str]:
    """Steps whose doubt may take longer to settle than the saga has (S15)."""
    if definition.deadline is None:
        return []
    return [
        f"saga {definition.name}: its deadline of {show(definition.deadline)} is shorter than the "
        f"settle_within of step {step.name}, {show(step.policy.settle_within)}: a doubt may outlast it"
        for step in definition.steps.values()
        if step.policy.settle_within > definition.deadline and step.policy.kind is not Kind.READS
    ]

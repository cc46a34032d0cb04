"""`@step`: one forward action of a saga, with how to ask about it and how to undo it beside it.

Rules that hold here: a step is called through `Step.__call__` and so has an identity, or by its `body` and
is then the plain function; nothing is checked at import but what can be said about one line, the rest by
`saga.checks`, which shows every problem at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from functools import cached_property
from typing import Any, Concatenate, Generic, Literal, ParamSpec, Protocol, TypeVar, cast, overload

from saga.answers import Answer
from saga.arguments import Arguments
from saga.call import Call
from saga.calls import StepCall, running_flow
from saga.core.durations import Duration
from saga.core.promises import InDoubt, Kind, Late, Policy
from saga.errors import DefinitionError
from saga.handlers import Handler, hints_of
from saga.service import Retry, Service, duration
from saga.values import Typed

P = ParamSpec("P")
T = TypeVar("T")


class Step(Generic[P, T]):
    """A step: call it in a saga function and await what it gives.

    name, service: as declared. policy: how it is sent, retried and settled. promises are the service's.
    at_most_once, undo: as declared. handler: its body. probe, compensation: set by `status`, `compensate`.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        service: Service,
        policy: Policy,
        *,
        name: str | None = None,
        undo: Literal["nothing"] | None = None,
        at_most_once: bool = False,
    ) -> None:
        self.handler = Handler(function)
        self.function = function
        self.name = name or self.handler.name
        self.service = service
        self.policy = policy
        self.undo = undo
        self.at_most_once = at_most_once
        self.is_async = self.handler.is_async
        self.probe: Handler | None = None
        self.compensation: Compensation[T, P] | None = None
        self.faults: list[str] = []
        self.__doc__ = function.__doc__
        self.__wrapped__ = function

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> StepCall[T]:
        """The step, called: its identity and arguments are fixed now, and it begins when it is awaited.

        Raises:
            RuntimeError: no saga is running here.
            ValueError, TypeError: the arguments are not the step's, or cannot be stored.
        """
        flow = running_flow.get()
        if flow is None:
            raise RuntimeError(
                f"step {self.name} was called outside a running saga: call it in a saga function, "
                f'or call the plain function with `await {self.name}.body(Call.fake(key="k"), …)`'
            )
        arguments = self.arguments.encode(args, kwargs)
        call: StepCall[T] = StepCall(flow.identify(self.name), self, arguments, flow)
        flow.created(call)
        return call

    async def body(self, call: Call, *args: P.args, **kwargs: P.kwargs) -> T:
        """The plain function, with no engine around it."""
        result = self.function(call, *args, **kwargs)
        return await cast("Awaitable[T]", result) if self.is_async else cast("T", result)

    def status(self, f: Callable[Concatenate[Call, P], Awaitable[Answer[T]] | Answer[T]]) -> object:
        """Register the probe: asked what became of the effect, before any retry and any compensation."""
        if self.probe is not None:
            self.faults.append(f"there is a second @{self.name}.status, {Handler(f).name}")
        self.probe = Handler(f)
        self.policy = replace(self.policy, can_probe=True)
        return f

    def compensate(self, f: Callable[Concatenate[Call, T, P], Awaitable[None] | None]) -> Compensation[T, P]:
        """Register the compensation: it gets the result, then the step's own arguments."""
        if self.compensation is not None:
            self.faults.append(f"there is a second @{self.name}.compensate, {Handler(f).name}")
        self.compensation = Compensation(self, f)
        return self.compensation

    @cached_property
    def arguments(self) -> Arguments:
        """The step's parameters as one JSON object."""
        return Arguments(self.name, self.function)

    @cached_property
    def result(self) -> Typed[T]:
        """The step's result type."""
        return Typed(hints_of(self.function)["return"])

    def encode_arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """The arguments, defaults applied, as canonical JSON text (see `Arguments.encode`)."""
        return self.arguments.encode(args, kwargs)

    def decode_arguments(self, text: str) -> dict[str, Any]:
        """Typed values by parameter name. Raises ValueError when the types have changed since."""
        return self.arguments.decode(text)

    def encode_result(self, value: T) -> str:
        """The result as canonical JSON text. Raises ValueError when it is not of the step's result type."""
        return self.result.encode(value)

    def decode_result(self, text: str) -> T:
        """The result again. Raises ValueError when its type has changed since."""
        return self.result.decode(text)

    def invoke(self, call: Call, arguments: dict[str, Any]) -> Any:
        """What the body gives: a coroutine when `is_async`, else it has blocked until its result."""
        return self.function(call, **arguments)

    def invoke_probe(self, call: Call, arguments: dict[str, Any]) -> Any:
        """What the probe gives: a coroutine when `probe.is_async`."""
        assert self.probe is not None, f"{self.name} has no status handler"
        return self.probe.function(call, **arguments)

    def __repr__(self) -> str:
        return f"<step {self.name}>"


class Compensation(Generic[T, P]):
    """What undoes a step. An effect of its own: own key, same protocol, no attempt budget (S29).

    name: of its function. step: what it undoes. handler: its function. probe: set by `status`.
    policy: the step's budgets; tried until it is settled, and never a read or repeatable by inheritance.
    """

    def __init__(self, step: Step[P, T], function: Callable[..., Any]) -> None:
        self.step = step
        self.handler = Handler(function)
        self.function = function
        self.name = self.handler.name
        self.is_async = self.handler.is_async
        self.probe: Handler | None = None
        self.faults: list[str] = []
        self.policy = replace(
            step.policy,
            retry=replace(step.policy.retry, give_up=None),
            can_probe=False,
            kind=Kind.EFFECT,
            in_doubt=InDoubt.PARK,
            late=Late.PARK,
            pivot=False,
        )
        self.__doc__ = function.__doc__
        self.__wrapped__ = function

    @property
    def service(self) -> Service:
        """The service of the step."""
        return self.step.service

    def status(self, f: Callable[Concatenate[Call, T, P], Awaitable[Answer[None]] | Answer[None]]) -> object:
        """Register the compensation's own probe; it answers `Landed(None)`."""
        if self.probe is not None:
            self.faults.append(f"there is a second @{self.name}.status, {Handler(f).name}")
        self.probe = Handler(f)
        self.policy = replace(self.policy, can_probe=True)
        return f

    def invoke(self, call: Call, result: T, arguments: dict[str, Any]) -> Any:
        """What the compensation gives: a coroutine when `is_async`."""
        return self.function(call, result, **arguments)

    def invoke_probe(self, call: Call, result: T, arguments: dict[str, Any]) -> Any:
        """What its probe gives: a coroutine when `probe.is_async`."""
        assert self.probe is not None, f"{self.name} has no status handler"
        return self.probe.function(call, result, **arguments)

    def __repr__(self) -> str:
        return f"<compensation {self.name} of {self.step.name}>"


class StepDecorator(Protocol):
    """What `step(…)` gives: it makes a `Step` of an `async def` or a `def` function."""

    @overload
    def __call__(self, f: Callable[Concatenate[Call, P], Coroutine[Any, Any, T]], /) -> Step[P, T]: ...
    @overload
    def __call__(self, f: Callable[Concatenate[Call, P], T], /) -> Step[P, T]: ...


def step(
    service: Service,
    *,
    timeout: Duration,
    retry: Retry | None = None,
    settle_within: Duration = "1h",
    pending_within: Duration = "24h",
    probes: int = 60,
    undo: Literal["nothing"] | None = None,
    reads: bool = False,
    repeatable: bool = False,
    at_most_once: bool = False,
    in_doubt: Literal["park", "accept"] = "park",
    watch_for: Duration | None = None,
    late: Literal["park", "compensate"] = "park",
    pivot: bool = False,
    name: str | None = None,
) -> StepDecorator:
    """Make a step of a module-level function whose first parameter is the `Call`.

    Args:
        service: what it calls, and what that promises.
        timeout: the budget of one attempt.
        retry: how often it is attempted.
        settle_within: how long a doubt is asked about before it is parked.
        probes: how many questions are asked in that time.
        pending_within: how long a service may keep answering "pending".
        undo: "nothing" says that there is nothing to undo.
        reads: it changes nothing, and is retried freely.
        repeatable: a duplicate is acceptable, so unknown is sent again without asking.
        at_most_once: it can neither be asked nor repeated, and the author knows what that means (S24).
        watch_for: how long to look for a late landing of what was settled by silence; by default the key's life.
        late: "compensate" undoes an effect that lands late; else it waits for a person.
        pivot: after its success the saga only goes forward, and nothing is compensated.
        in_doubt: "accept" goes on, degraded, where a doubt would park; only with undo="nothing".
        name: in identities and keys; by default the function's.

    Raises:
        DefinitionError: what is wrong in this one line. The rest is told when the engine is built.
    """
    said: dict[str, Any] = {"timeout": timeout, "settle_within": settle_within, "pending_within": pending_within,
            "watch_for": watch_for, "retry": retry, "probes": probes, "reads": reads, "repeatable": repeatable,
            "in_doubt": in_doubt, "late": late, "pivot": pivot}  # fmt: skip

    def make(f: Callable[..., Any]) -> Step[Any, Any]:
        policy = _policy(f"step {name or getattr(f, '__name__', f)}", **said)
        return Step(f, service, policy, name=name, undo=undo, at_most_once=at_most_once)

    return cast("StepDecorator", make)


def _policy(
    owner: str, *, retry: Retry | None, probes: int, reads: bool, repeatable: bool, in_doubt: str, late: str,
    pivot: bool, **durations: Duration | None,
) -> Policy:  # fmt: skip
    return Policy(
        **_durations(owner, **durations),
        retry=(retry or Retry()).rules,
        probes=probes,
        kind=_kind(owner, reads=reads, repeatable=repeatable),
        in_doubt=_in_doubt(owner, in_doubt),
        late=_late(owner, late),
        pivot=pivot,
    )


def _durations(owner: str, **said: Duration | None) -> dict[str, Any]:
    return {word: duration(owner, word, value) for word, value in said.items() if value is not None}


def _kind(owner: str, *, reads: bool, repeatable: bool) -> Kind:
    if reads and repeatable:
        raise DefinitionError([f"{owner}: it says both reads=True and repeatable=True: keep one"])
    return Kind.READS if reads else Kind.REPEATABLE if repeatable else Kind.EFFECT


def _late(owner: str, word: str) -> Late:
    if word not in set(Late):
        raise DefinitionError([f'{owner}: late is "park" or "compensate", not {word!r}'])
    return Late(word)


def _in_doubt(owner: str, word: str) -> InDoubt:
    if word not in set(InDoubt):
        raise DefinitionError([f'{owner}: in_doubt is "park" or "accept", not {word!r}'])
    return InDoubt(word)

"""An engine with a wrong definition is not built, and every problem is told at once."""

import pickle
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

from saga import (
    Call,
    DefinitionError,
    DefinitionWarning,
    NotFoundError,
    Retry,
    Service,
    saga,
    step,
)
from saga.registry import Registry
from tests.support.definitions import forgetful, keeper, loosely, problems, saga_of, sound
from tests.support.shop import charge, confirm

if TYPE_CHECKING:
    from decimal import Decimal as Hidden


def test_what_is_sound_is_found_by_name_and_version() -> None:
    """The highest version, unless one is named; what is not there is told with what is."""
    first, second = saga_of(charge), saga_of(confirm, version=2)
    registry = Registry([first, second])
    assert registry.find("one") is second
    assert registry.find("one", 1) is first
    assert set(registry.sagas) == {("one", 1), ("one", 2)}
    assert {service.name for service in registry.services()} == {"psp", "mail"}
    with pytest.raises(NotFoundError, match="there is no saga two in this engine; known sagas: one"):
        registry.find("two")
    with pytest.raises(
        NotFoundError, match=r"no version 3 of saga one in this engine; its versions are \[1, 2\]"
    ):
        registry.find("one", 3)


def test_every_problem_is_told_at_once() -> None:
    """Of every saga and step, each a sentence, in one exception."""

    async def two_inputs(one: Any, two: Any): ...  # type: ignore[no-untyped-def]

    def no_coroutine(order) -> None: ...  # type: ignore[no-untyped-def]

    steps = [sound(undo=None), sound(name="a/b")]
    bad = loosely(saga("bad name", version=0, deadline="0s", steps=steps))(two_inputs)
    blocking = loosely(saga("blocking"))(no_coroutine)
    with pytest.raises(DefinitionError) as told:
        Registry([bad, blocking])
    for said in (
        "saga bad name: its name may have letters, digits and _ . : - only, at most 100",
        "saga bad name: version must be 1 or more",
        "saga bad name: deadline must be more than zero",
        "saga bad name: a saga takes exactly one input, not 2: make one dataclass of them",
        "saga bad name: it has no return type",
        "saga blocking: a saga must be `async def`",
        "saga blocking: its input order has no type",
        'step one: say how it is undone: @one.compensate, undo="nothing", or reads=True',
        "step a/b: its name may have letters",
    ):
        assert any(said in one for one in told.value.problems), said
        assert said in str(told.value)
    assert str(told.value).startswith(f"{len(told.value.problems)} problems in the definitions:\n  - ")
    assert str(pickle.loads(pickle.dumps(told.value))) == str(told.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"service": forgetful}, "it can neither be asked nor repeated: add @one.status"),
        ({"at_most_once": True}, "a doubt about it can be settled: drop at_most_once"),
        ({"service": forgetful, "at_most_once": True, "repeatable": True}, "drop at_most_once"),
        ({"undo": "never"}, "undo is \"nothing\" or left out, not 'never'"),
        ({"in_doubt": "accept", "undo": None, "reads": True}, 'only for undo="nothing"'),
        ({"timeout": "0s"}, "timeout must be more than zero"),
        ({"probes": 0}, "probes must be at least 1"),
        ({"retry": Retry(attempts=0)}, "retry: attempts must be at least 1"),
        ({"timeout": "23h"}, "no send would ever be allowed"),
        ({"service": Service("odd", remembers="all")}, 'service odd: remembers="all" without key_lifetime'),
        (
            {"service": Service("odd", key_lifetime="1h"), "repeatable": True},
            "key_lifetime without remembers",
        ),
        ({"service": Service("odd", lateness="-1s"), "repeatable": True}, "lateness is negative"),
    ],
)
def test_what_cannot_work_is_told(options: dict[str, Any], said: str) -> None:
    """Each with what to do."""
    assert any(said in one for one in problems(saga_of(sound(**options)))), problems(
        saga_of(sound(**options))
    )


@pytest.mark.parametrize(
    "options",
    [
        {"service": forgetful, "at_most_once": True},
        {"service": forgetful, "repeatable": True},
        {"service": forgetful, "reads": True, "undo": None},
        {"service": forgetful, "at_most_once": True, "retry": Retry(attempts=3)},
        {"in_doubt": "accept"},
        {},
    ],
)
def test_what_can_work_is_taken(options: dict[str, Any]) -> None:
    """At most once may be retried: after proof that nothing happened (S4)."""
    Registry([saga_of(sound(**options))])


def test_accepting_a_doubt_needs_a_type_that_admits_none() -> None:
    """Because that is what the saga is given."""

    @step(keeper, timeout="1s", undo="nothing", in_doubt="accept")
    async def number(call: Call) -> int:
        return 1

    assert problems(saga_of(number)) == [
        'step number: in_doubt="accept" gives None when it accepts: the return type must admit None'
    ]


def test_signatures_that_cannot_be_stored_are_told() -> None:
    """Types are what values are stored by, and names are what handlers are called by."""
    options: dict[str, Any] = {"service": keeper, "timeout": "1s", "undo": "nothing"}

    async def untyped(call: Call, order): ...  # type: ignore[no-untyped-def]

    @step(**options)
    async def starred(call: Call, *orders: str) -> None: ...

    @step(**options)
    async def positional(call: Call, order: str, /) -> None: ...

    @step(**options)
    async def hidden(call: Call, amount: "Hidden") -> None: ...

    @step(**options)
    async def opaque(call: Call) -> Event: ...  # type: ignore[empty-body]

    async def callless(order: str) -> None: ...

    loose = [loosely(step(**options))(function) for function in (untyped, callless)]
    told = "\n".join(problems(saga_of(starred, positional, hidden, opaque, *loose)))
    for said in (
        "step untyped: parameter order has no type",
        "step untyped: it has no return type",
        "step starred: parameter *orders: str has no fixed names",
        "step positional: parameter order is positional-only",
        "step hidden: an annotation is not there at run time (name 'Hidden' is not defined)",
        "step opaque: the return type has no JSON",
        "step callless: its first parameter must be `call: Call`",
    ):
        assert said in told, told


def test_names_must_tell_things_apart() -> None:
    """Two steps of one name in a saga, two sagas of one name and version, two services of one name."""
    assert "two steps are named one" in problems(saga_of(sound(), sound()))[0]
    assert "saga one: version 1 is there twice" in problems(saga_of(), saga_of())[0]
    twin = Service("keeper", remembers="successes", key_lifetime="24h")
    told = problems(saga_of(sound(name="a"), sound(name="b", service=twin)))
    assert told == ["service keeper: two of this name promise different things: make it one"]
    assert "is no saga: decorate it with @saga" in problems(sound)[0]


def test_a_duration_that_is_none_is_told_where_it_is_written() -> None:
    """At import, with the owner's name."""
    with pytest.raises(DefinitionError, match="step one: timeout: '10' is not a duration"):
        sound(timeout="10")
    with pytest.raises(DefinitionError, match="service psp: lateness: 5 is not a duration"):
        Service("psp", lateness=5)  # type: ignore[arg-type]
    with pytest.raises(DefinitionError, match="remembers is"):
        Service("psp", remembers="some")  # type: ignore[arg-type]
    with pytest.raises(DefinitionError, match="in_doubt is"):
        sound(in_doubt="guess")


def test_what_is_not_built_yet_is_absent() -> None:
    """Never accepted and ignored."""
    with pytest.raises(TypeError):
        Service("psp", concurrency=5)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        step(keeper, timeout="1s", heartbeat="1s")  # type: ignore[call-arg]


def test_a_deadline_shorter_than_a_doubt_is_pointed_out() -> None:
    """It works, but a doubt may outlast it (S15)."""

    @saga("short", deadline="30m", steps=[charge])
    async def short(order: str) -> None: ...

    with pytest.warns(
        DefinitionWarning, match="its deadline of 30m is shorter than the settle_within of step charge, 1h"
    ):
        Registry([short])

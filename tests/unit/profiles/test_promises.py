"""What a service says of its replies is read as it was meant; promises that nobody can keep are refused at the start."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from saga import Answer, Call, DefinitionError, NotFound, Retry, Service, saga, step
from saga.core.model import Kept
from saga.core.replies import Meaning, Replies, Sign
from saga.registry import Registry

NONE: frozenset[str] = frozenset()


def built(service: Service, **options: Any) -> None:
    """An engine's registry with one step of this service."""
    given = {"timeout": "5s", "undo": "nothing", **options}

    @step(service, **given)
    async def charge(call: Call, amount: int) -> None: ...

    @saga("one", steps=[charge])
    async def one(order: str) -> None: ...

    Registry([one])


def refused(service: Service, **options: Any) -> str:
    """What is said when the engine is built."""
    with pytest.raises(DefinitionError) as told:
        built(service, **options)
    return str(told.value)


@pytest.mark.parametrize(
    ("promises", "said"),
    [
        ({"lateness": "-1s"}, "service psp: lateness is negative"),
        ({"staleness": "-1s"}, "service psp: staleness is negative"),
        ({"key_lifetime": "0s"}, "key_lifetime must be more than zero"),
        ({"key_lifetime": "-1h"}, "key_lifetime must be more than zero"),
        ({"key_lifetime": None}, 'remembers="all" without key_lifetime'),
        ({"key_lifetime": "1s"}, "no send would ever be allowed: timeout"),
        ({"key_lifetime": "1h", "lateness": "2h"}, "no send would ever be allowed"),
        ({"key_length": 35}, "key_length 35 is too short: our keys have 36 characters"),
        ({"remembers": "nothing"}, "key_lifetime without remembers"),
        ({"remembers": "nothing", "stores": [200]}, "stores without remembers"),
        ({"remembers": "successes", "stores": ["2xx", 402]}, "stores lists more than successes"),
        ({"remembers": "successes", "replays_5xx": True}, 'replays_5xx without remembers="all"'),
        ({"stores": ["5xx"]}, "stores lists a 5xx: say replays_5xx=True"),
        ({"stores": ["400 word"]}, "stores lists 400 word: a reply is kept or not by its status"),
        ({"in_progress": [409], "mismatch": [409]}, "409 is listed as mismatch and as in progress: keep one"),
        ({"conflict": [200]}, "200 cannot mean conflict: it is a success"),
    ],
)
def test_bad_promises_are_refused_when_the_engine_is_built(promises: dict[str, Any], said: str) -> None:
    """Each with a sentence; nothing has run by then."""
    given = {"remembers": "all", "key_lifetime": "24h", **promises}
    assert said in refused(Service("psp", **given))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"timeout": "-5s"}, "timeout must be more than zero"),
        ({"settle_within": "0s"}, "settle_within must be more than zero"),
        ({"retry": Retry(first="-1s")}, "step charge: "),
        ({"timeout": "23h"}, "no send would ever be allowed"),
    ],
)
def test_bad_budgets_are_refused_when_the_engine_is_built(options: dict[str, Any], said: str) -> None:
    """A key that lives shorter than the call it should guard is no promise."""
    assert said in refused(Service("psp", remembers="all", key_lifetime="24h"), **options)


def test_a_probe_on_a_step_that_only_reads_is_refused() -> None:
    """It is retried freely and never asked about."""
    service = Service("psp", remembers="all", key_lifetime="24h")

    @step(service, timeout="5s", reads=True)
    async def look(call: Call, amount: int) -> None: ...

    @look.status
    async def look_status(call: Call, amount: int) -> Answer[None]:
        return NotFound()

    @saga("one", steps=[look])
    async def one(order: str) -> None: ...

    with pytest.raises(DefinitionError, match="reads=True is retried freely and never asked about"):
        Registry([one])


@pytest.mark.parametrize("status", [99, 600, "4x", "409x", "", True, None, 4.5, "400 two words"])
def test_what_is_no_status_is_told_at_once(status: Any) -> None:
    """With what one looks like."""
    with pytest.raises(DefinitionError, match='write it like 409, "5xx" or "400 idempotency_error"'):
        Service("psp", in_progress=[status])


def test_a_single_status_needs_no_list() -> None:
    """A text is one status, and not its letters."""
    service = Service("psp", in_progress="409", mismatch="400 reused")  # one text is as good as a list of one
    assert [str(one) for one in service.promises.replies.in_progress] == ["409"]
    assert [str(one) for one in service.promises.replies.mismatch] == ["400 reused"]


def test_two_services_of_one_name_promise_the_same() -> None:
    """Statuses included: which of the two would settle a doubt?"""
    one, other = Service("psp"), Service("psp", conflict=[409])
    assert one.promises != other.promises
    assert Service("psp", conflict=[409]).promises == other.promises


def test_every_default_is_pessimistic() -> None:
    """A service of which nothing is said keeps nothing, means nothing, and may be late."""
    promises = Service("psp").promises
    assert not promises.dedups
    assert (promises.replays_5xx, promises.voids_by_key) == (False, False)
    assert promises.lateness > timedelta(0)
    assert {promises.replies.meaning(status, NONE) for status in range(100, 600)} == {Meaning.NOTHING}


def test_the_most_particular_sign_counts() -> None:
    """A word before a status, a status before a range."""
    replies = Replies(
        mismatch=(Sign.parse("409 reused"),),
        in_progress=(Sign.parse(409),),
        conflict=(Sign.parse("4xx"),),
        sheds=(Sign.parse(429),),
    )
    words = frozenset({"reused", "other"})
    assert replies.meaning(409, words) is Meaning.MISMATCH
    assert replies.meaning(409, NONE) is Meaning.IN_PROGRESS
    assert replies.meaning(404, words) is Meaning.CONFLICT
    assert replies.meaning(429, NONE) is Meaning.SHED
    assert replies.meaning(500, words) is Meaning.NOTHING


def test_s17_what_is_not_listed_is_not_kept() -> None:
    """And neither is a refusal whose status nobody told; without a list it is as `remembers` says."""
    replies = Service("psp", remembers="all", key_lifetime="24h", stores=["2xx", 402]).promises.replies
    assert replies.kept(402) is Kept.YES
    assert replies.kept(200) is Kept.YES
    assert replies.kept(400) is Kept.NO
    assert replies.kept(None) is Kept.NO
    assert Replies().kept(400) is Kept.BY_PROMISE

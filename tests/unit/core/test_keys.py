"""S7, S8: keys and hashes are derived, stable for ever, and framed so that no two lists spell the same."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from saga.core.keys import KEY_CHARACTERS, effect_key, input_hash, request_hash
from saga.core.model import Direction

texts = some.text(alphabet=some.characters(exclude_categories=["Cs"]), max_size=12)


def key(namespace: str = "shop", saga: str = "checkout", business_key: str = "order-7", **other: Any) -> str:
    """The key of one effect; `other`: step, direction, secret."""
    return effect_key(
        other.get("secret", b"secret"), namespace, saga=saga, business_key=business_key,
        step=other.get("step", "charge#1"), direction=other.get("direction", Direction.FORWARD),
    )  # fmt: skip


def test_s7_the_key_never_changes() -> None:
    """A release that derived another key would charge again whatever is in doubt across the upgrade."""
    assert key() == "sk1_mblardxqtnpmukuag57nmzitbh4d6exo"
    assert key(direction=Direction.BACKWARD) == "sk1_dmj7a73tsl5y5hjb2iq2mizcydxn3t5i"
    assert request_hash("psp", "charge", '{"amount": 5}') == "f7cfcaccabcf611fff3e032985530baf"
    assert input_hash('{"order": 7}') == "cae088b160b70555ea05a99e8f80cd90"


def test_s7_every_part_counts() -> None:
    """Another secret, namespace, saga, business key, step or direction is another key."""
    changed = [
        key(), key(secret=b"other"), key(namespace="other"), key(saga="other"), key(business_key="other"),
        key(step="charge#2"), key(direction=Direction.BACKWARD),
    ]  # fmt: skip
    assert len(set(changed)) == len(changed)


@given(some.tuples(texts, texts, texts, texts), some.tuples(texts, texts, texts, texts))
def test_s7_parts_are_framed(a: tuple[str, ...], b: tuple[str, ...]) -> None:
    """Different lists of parts never spell the same key, wherever one part ends."""
    one, other = (key(*parts[:3], step=parts[3]) for parts in (a, b))
    assert (one == other) == (a == b)


@pytest.mark.parametrize("cut", range(1, 5))
def test_s7_where_a_part_ends_counts(cut: int) -> None:
    """The same letters, cut elsewhere."""
    whole = "abcde"
    assert key(whole[:cut], whole[cut:]) != key(whole, "")
    assert request_hash(whole[:cut], whole[cut:], "") != request_hash(whole, "", "")


@given(texts, texts, some.sampled_from(Direction))
def test_s7_every_provider_takes_the_key(business_key: str, step: str, direction: Direction) -> None:
    """36 characters of letters, digits and one underscore, whatever it is made of."""
    made = key(business_key=business_key, step=step, direction=direction)
    assert len(made) == KEY_CHARACTERS
    assert made.isascii()
    assert made.replace("_", "").isalnum()


def test_s8_any_difference_of_the_request_shows() -> None:
    """Service, step and arguments."""
    hashes = {request_hash(*parts) for parts in product("ab", "ab", "ab")}
    assert len(hashes) == 8

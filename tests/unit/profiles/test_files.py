"""Profiles are data with a source and a date; a file that says something nobody knows is refused with a sentence."""

from __future__ import annotations

import warnings
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from saga import DefinitionError, DefinitionWarning, Service
from saga.profiles import load, shipped
from saga.profiles.files import STALE_AFTER, parsed

SOUND = """
profile = 1
title = "Ours"
source = "https://ours.example/docs"
date = 2026-11-24
notes = ["a note"]

[promises]
remembers = "all"
stores = ["2xx", 402]
key_lifetime = "24h"
key_length = 64
in_progress = [409]
mismatch = ["422 KEY_REUSED"]
"""


def refused(text: str) -> str:
    """What is said of a file."""
    with pytest.raises(DefinitionError) as told:
        parsed("ours", text)
    return str(told.value)


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_profile_has_a_source_and_promises_what_can_be_kept(name: str) -> None:
    """Whatever is undecided has a reason; the rest is a service that an engine takes."""
    profile = load(name)
    assert profile.source.startswith("https://")
    assert profile.date >= date(2025, 1, 1)
    assert profile.notes, "what the source leaves open is said"
    assert set(profile.undecided) <= {"key_lifetime"}
    service = Service(name, **{**dict.fromkeys(profile.undecided, "24h"), **profile.promises})
    assert service.promises.problems() == []


def test_the_providers_that_were_promised_are_there() -> None:
    """The list of issue 3; PayPal and Braintree keep keys in two ways."""
    assert shipped() == [
        "adyen",
        "braintree",
        "braintree-graphql",
        "checkout-com",
        "ietf-idempotency-key",
        "paypal-orders-v2",
        "paypal-payments-v2",
        "square",
        "stripe-v1",
        "stripe-v2",
    ]


def test_a_profile_of_ones_own_is_read_from_a_file(tmp_path: Path) -> None:
    """And what is said beside it wins."""
    path = tmp_path / "ours.toml"
    path.write_text(SOUND)
    service = Service.from_file(path, name="psp", key_lifetime="72h")
    assert service.promises.key_lifetime == timedelta(hours=72)
    assert service.promises.key_length == 64
    assert [str(sign) for sign in service.promises.replies.mismatch] == ["422 KEY_REUSED"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ("key_length", "key_lenght"),
            "profile ours: key_lenght is no field of a profile: there are remembers,",
        ),
        (("title =", "owner ="), "profile ours: owner is no field of a profile"),
        (('title = "Ours"\n', ""), "profile ours: title is missing"),
        (("date = 2026-11-24", 'date = "yesterday"'), "date must be a date like 2026-11-24, not 'yesterday'"),
        (("profile = 1", "profile = 2"), "profile = 2 is no format that is known"),
        (("[409]", "409"), "in_progress must be a list, not 409"),
        (("key_length = 64", "key_length = true"), "key_length must be a number, not True"),
        (('notes = ["a note"]', "notes = [1]"), "notes must be a list of texts"),
        (("[promises]", "promises = 1\n[undecided]"), "promises must be a table"),
        (("[promises]", '[undecided]\nremembers = "say"\n[promises]'), "both promised and undecided"),
        (("[promises]", "[promises"), "profile ours is no TOML"),
    ],
)
def test_a_file_that_is_no_profile_is_refused(change: tuple[str, str], said: str) -> None:
    """With a sentence that names the field: a misspelt promise would be a default that nobody chose."""
    assert change[0] in SOUND
    assert said in refused(SOUND.replace(*change, 1))


def test_everything_that_is_wrong_is_told_at_once() -> None:
    """Not one mistake a run."""
    told = refused('title = 5\n[promises]\nremember = "all"')
    assert told.count("profile ours:") == 5  # three that are missing, a type, a name


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """Missing, or not text."""
    with pytest.raises(DefinitionError, match=r"profile none\.toml cannot be read"):
        Service.from_file(tmp_path / "none.toml", name="psp")


def test_an_old_profile_is_pointed_out_with_its_source(tmp_path: Path) -> None:
    """It works, but the provider may have changed its mind."""
    path = tmp_path / "ours.toml"
    path.write_text(SOUND.replace("2026-11-24", "2020-02-29"))
    with pytest.warns(
        DefinitionWarning, match=r"service psp: profile ours was read from https://ours\.example"
    ):
        Service.from_file(path, name="psp")
    profile = parsed("ours", SOUND)
    assert profile.stale(profile.date + STALE_AFTER) is None
    assert profile.stale(profile.date - timedelta(days=99)) is None, "a wrong clock is nobody's fault"
    assert profile.stale(profile.date + STALE_AFTER + timedelta(days=1)) is not None


def test_what_the_source_leaves_open_must_be_said() -> None:
    """Square does not publish how long a key lives, and nobody guesses it."""
    with pytest.raises(DefinitionError, match="Square does not publish how long a key lives"):
        Service.from_profile("square", name="psp")
    said: dict[str, Any] = {"remembers": "nothing", "key_lifetime": None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DefinitionWarning)
        assert Service.from_profile("square", name="psp", **said).promises.problems() == []


def test_a_profile_that_is_not_there_is_told_with_those_that_are() -> None:
    """A misspelt name is found at once."""
    with pytest.raises(DefinitionError, match="there is no profile 'stripe': there are adyen, braintree,"):
        Service.from_profile("stripe", name="psp")

"""docs/your-provider.md: its table is what the profiles say, its programs and its profile are run."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from saga import DefinitionError, Step, profiles
from saga.profiles import files, load, shipped
from tests.support import repository

PAGE = (repository.ROOT / "docs" / "your-provider.md").read_text()
FOUND_BY = {
    "braintree": "braintree_transactions",
    "braintree-graphql": "braintree_transactions",
    "checkout-com": "checkout_payments",
    "paypal-orders-v2": "paypal_capture",
    "stripe-v1": "stripe_charges",
}


def blocks(language: str) -> list[str]:
    """The blocks of a language on the page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def row(name: str) -> str:
    """One profile's line of the table."""
    profile = load(name)
    given = profile.promises
    stores = f": {', '.join(map(str, given['stores']))}" if "stores" in given else ""
    lives = "you say" if "key_lifetime" in profile.undecided else given.get("key_lifetime", "never")
    by = f"`{FOUND_BY[name]}`" if name in FOUND_BY else "resending"

    def statuses(promise: str) -> str:
        return ", ".join(map(str, given.get(promise, []))) or "not published"

    cells = [
        f"`{name}`",
        given["remembers"] + stores,
        lives,
        statuses("in_progress"),
        statuses("mismatch"),
        by,
    ]
    return f"| {' | '.join(cells)} |"


def test_the_table_is_what_the_profiles_say() -> None:
    """Line by line."""
    table = PAGE.partition("from the profiles -->\n")[2].partition("<!-- end -->")[0].splitlines()
    assert table[2:] == [row(name) for name in shipped()]
    assert all(hasattr(profiles, probe) for probe in FOUND_BY.values())


def test_the_programs_make_steps_that_an_engine_takes() -> None:
    """One after the other, in one module."""
    from saga import saga
    from saga.registry import Registry

    module: dict[str, Any] = {"__name__": "your_provider"}
    for code in blocks("python"):
        exec(compile(code.replace("from __future__", ""), "your-provider.md", "exec"), module)
    made = [one for one in module.values() if isinstance(one, Step)]
    assert {step.name for step in made} == {"charge", "authorise"}

    @saga("page", steps=made)
    async def page(order: str) -> None: ...

    Registry([page])


def test_the_profile_on_the_page_is_one() -> None:
    """It leaves open what it says that it does."""
    (text,) = blocks("toml")
    profile = files.parsed("bank", text)
    assert set(profile.undecided) == {"lateness"}
    with pytest.raises(DefinitionError, match="ask the bank how long"):
        profile_service(profile)
    assert profile_service(profile, lateness="10m").promises.lateness == timedelta(minutes=10)


def profile_service(profile: files.Profile, **overrides: Any) -> Any:
    """The service of a profile that is in no file."""
    from saga import Service

    return Service._of(profile, "bank", None, overrides)

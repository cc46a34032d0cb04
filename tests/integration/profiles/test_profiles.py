"""Every shipped profile against a fake of its provider: what is lost is settled to one effect, and nothing is guessed."""

from __future__ import annotations

import pytest

from saga.profiles import shipped
from tests.integration.profiles.fakes import (
    ALL,
    Adyen,
    BraintreeGraphQL,
    CheckoutCom,
    Draft,
    PayPal,
    Square,
)
from tests.integration.profiles.provider import Provider, served
from tests.integration.profiles.stripe import StripeV1, StripeV2
from tests.integration.profiles.till import till
from tests.support import rows


def named(provider: type[Provider]) -> str:
    """For pytest's ids."""
    return provider.profile


def test_every_shipped_profile_has_its_fake() -> None:
    """A profile that nothing was tried against is not shipped."""
    assert sorted(fake.profile for fake in ALL) == shipped()


@pytest.mark.parametrize("fake", ALL, ids=named)
async def test_a_lost_reply_is_one_effect(database_url: str, fake: type[Provider]) -> None:
    """The payment happened and its reply was lost: it is found, or replayed, and never made twice."""
    with served(fake()) as provider:
        provider.plan.extend(["lose_reply"])
        async with till(database_url, provider) as shop:
            assert (await shop.bought()).endswith("_0")
    assert len(provider.paid) == 1
    assert len(set(provider.requests)) == 1
    asked = fake.probe is not Provider.probe and fake.profile != "paypal-payments-v2"
    assert (provider.questions, len(provider.requests)) == ((1, 1) if asked else (0, 2))


@pytest.mark.parametrize("fake", ALL, ids=named)
async def test_a_lost_request_is_one_effect(database_url: str, fake: type[Provider]) -> None:
    """It never arrived, and nobody can tell: sent again under the same key, at once or after the quiet (S14, S16)."""
    with served(fake()) as provider:
        provider.plan.extend(["lose_request"])
        async with till(database_url, provider) as shop:
            assert (await shop.bought()).endswith("_0")
    assert (len(provider.paid), len(provider.requests)) == (1, 2)


@pytest.mark.parametrize("fake", [StripeV1, StripeV2, PayPal, Adyen, CheckoutCom, Draft], ids=named)
async def test_s18_a_request_in_progress_is_waited_for(database_url: str, fake: type[Provider]) -> None:
    """The provider says that it is still at it: unknown, never a failure; the third reply is the first one's."""
    with served(fake()) as provider:
        provider.plan.extend(["slow"])
        async with till(database_url, provider, probe=False) as shop:
            assert (await shop.bought()).endswith("_0")
    assert (len(provider.paid), len(provider.requests)) == (1, 4)
    told = [str(row) for row in rows.evidence_of(database_url, "k") if "in_progress" in str(row)]
    assert len(told) == 2


@pytest.mark.parametrize("fake", [StripeV1, StripeV2, PayPal, Square, Draft], ids=named)
async def test_s19_a_key_that_is_known_with_another_request_parks(
    database_url: str, fake: type[Provider]
) -> None:
    """Something ran under it, so it is no refusal: a person looks, and the customer is told "processing"."""
    with served(fake()) as provider:
        provider.plan.extend(["other"])
        async with till(database_url, provider, probe=False) as shop:
            assert (await shop.parked())["park_cause"] == "mismatch"
            assert await shop.told() == "processing"
    assert len(provider.requests) == 2


@pytest.mark.parametrize("fake", [StripeV1, StripeV2, PayPal, Square, Adyen, CheckoutCom, Draft], ids=named)
async def test_a_refusal_of_the_only_attempt_is_final(database_url: str, fake: type[Provider]) -> None:
    """Nothing else is in doubt, so it needs nobody's memory."""
    with served(fake()) as provider:
        provider.plan.extend(["decline"])
        async with till(database_url, provider) as shop:
            assert await shop.ended() == "declined"
    assert (provider.paid, len(provider.requests)) == ([], 1)


@pytest.mark.parametrize("fake", [StripeV2, PayPal, Square, Adyen, CheckoutCom], ids=named)
async def test_s17_a_refusal_that_is_not_kept_leaves_an_earlier_attempt_in_doubt(
    database_url: str, fake: type[Provider]
) -> None:
    """It was paid, the reply was lost, and the resend is turned away: nobody says "declined"."""
    with served(fake()) as provider:
        provider.plan.extend(["lose_reply", "invalid"])
        async with till(database_url, provider, probe=False) as shop:
            assert (await shop.parked())["park_cause"] == "in_doubt"
            assert await shop.told() == "processing"
    assert (len(provider.paid), len(provider.requests)) == (1, 2)


@pytest.mark.parametrize("fake", [StripeV1, CheckoutCom], ids=named)
async def test_s17_the_first_request_lands_behind_the_refusal_of_the_second(
    database_url: str, fake: type[Provider]
) -> None:
    """Not found, resent, refused; then it lands: no orphan, because the refusal settled nothing, and it is found."""
    with served(fake()) as provider:
        provider.plan.extend(["late", "invalid"])
        async with till(database_url, provider, lateness="1h") as shop:
            assert (await shop.bought()).endswith("_0")
    assert (len(provider.paid), len(provider.requests)) == (1, 2)


async def test_s17_after_the_quiet_the_refusal_stands_on_its_own(database_url: str) -> None:
    """The first request never arrived: two questions after everything must have landed, and it is declined."""
    with served(CheckoutCom()) as provider:
        provider.plan.extend(["lose_request", "invalid"])
        async with till(database_url, provider) as shop:
            assert await shop.ended() == "declined"
    assert (provider.paid, len(provider.requests)) == ([], 2)


async def test_a_refusal_in_a_success_that_is_kept_speaks_for_all(database_url: str) -> None:
    """Adyen keeps a refused payment, which is a 200, under the key: the resend settles the lost request (S4)."""
    with served(Adyen()) as provider:
        provider.plan.extend(["lose_request", "decline"])
        async with till(database_url, provider) as shop:
            assert await shop.ended() == "declined"
    assert (provider.paid, len(provider.requests)) == ([], 2)


async def test_stripe_v2_drives_failed_work_on(database_url: str) -> None:
    """The opposite of v1: an error is resent, and one payment comes of it."""
    with served(StripeV2()) as provider:
        provider.plan.extend(["broken", "broken"])
        async with till(database_url, provider) as shop:
            assert await shop.bought() == "pay_0"
    assert (len(provider.paid), len(provider.requests)) == (1, 3)


async def test_a_remembered_key_of_braintree_is_asked_for_and_sent_again(database_url: str) -> None:
    """With an apiRequestKey there is nothing to wait for: not found, resent, one payment."""
    with served(BraintreeGraphQL()) as provider:
        provider.plan.extend(["lose_request"])
        async with till(database_url, provider, lateness="1h") as shop:
            assert await shop.bought() == "tx_0"
    assert provider.questions == 1

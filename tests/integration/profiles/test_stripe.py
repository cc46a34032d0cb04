"""Stripe v1, whose memory is the most particular: errors are replayed, and three kinds of refusal are forgotten."""

from __future__ import annotations

from tests.integration.profiles.provider import served
from tests.integration.profiles.stripe import StripeV1
from tests.integration.profiles.till import till
from tests.support import rows


async def test_s17_a_validation_error_does_not_settle_a_lost_payment(database_url: str) -> None:
    """It is not kept under the key, so it says nothing of the attempt before: the doubt waits for a person."""
    with served(StripeV1()) as provider:
        provider.plan.extend(["lose_reply", "invalid"])
        async with till(database_url, provider, probe=False) as shop:
            assert (await shop.parked())["park_cause"] == "in_doubt"
            assert await shop.told() == "processing"
    assert (len(provider.paid), len(provider.requests)) == (1, 2)


async def test_a_decline_is_kept_and_speaks_for_every_attempt(database_url: str) -> None:
    """402 is a reply of the execution: the lost request and the resend are one refusal."""
    with served(StripeV1()) as provider:
        provider.plan.extend(["lose_request", "decline"])
        async with till(database_url, provider, probe=False) as shop:
            assert await shop.ended() == "declined"
    assert rows.saga_of(database_url, "k")["error"]["code"] == "card_declined"
    assert (provider.paid, len(provider.requests)) == ([], 2)


async def test_a_failed_charge_is_found_as_a_refusal(database_url: str) -> None:
    """The decline's reply was lost, and the list says what it was: no resend is needed (S13)."""
    with served(StripeV1()) as provider:
        provider.plan.extend(["lose_decline"])
        async with till(database_url, provider) as shop:
            assert await shop.ended() == "declined"
    assert (provider.questions, len(provider.requests)) == (1, 1)


async def test_s20_a_kept_error_is_asked_about_and_never_resent(database_url: str) -> None:
    """The charge landed and the reply is a 500, which every resend would only repeat: one question finds it."""
    with served(StripeV1()) as provider:
        provider.plan.extend(["broken_after"])
        async with till(database_url, provider) as shop:
            assert await shop.bought() == "ch_0"
    assert (len(provider.paid), len(provider.requests), provider.questions) == (1, 1, 1)


async def test_s20_without_a_probe_a_kept_error_waits_for_a_person(database_url: str) -> None:
    """A resend resolves nothing, and nothing else can be done."""
    with served(StripeV1()) as provider:
        provider.plan.extend(["broken"])
        async with till(database_url, provider, probe=False) as shop:
            assert (await shop.parked())["park_cause"] == "in_doubt"
    assert len(provider.requests) == 1


async def test_a_rate_limit_is_proof_that_nothing_happened(database_url: str) -> None:
    """It comes from before the execution: sent again, without a question."""
    with served(StripeV1()) as provider:
        provider.plan.extend(["shed"])
        async with till(database_url, provider) as shop:
            assert await shop.bought() == "ch_0"
    assert (len(provider.paid), len(provider.requests), provider.questions) == (1, 2, 0)


async def test_more_than_one_charge_is_surplus(database_url: str) -> None:
    """Three pages of charges for one key are read to the end: the oldest is kept, and a person is asked (S23)."""
    with served(StripeV1()) as provider:
        provider.plan.extend(["surplus"])
        async with till(database_url, provider) as shop:
            row = await shop.parked()
            assert row["park_cause"] == "surplus"
            assert await shop.told() == "processing"
    assert len(provider.paid) == 5

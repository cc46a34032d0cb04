"""`saga db verify`: what is stored as a verdict is what the stored evidence proves (S3)."""

from __future__ import annotations

from saga import NotFound, Retry, saga
from saga.verify import verify
from tests.support import rows
from tests.support.fakes import Ledger, away, lose_reply, make_step, refuse
from tests.support.working import working


async def test_s3_every_verdict_can_be_computed_again(database_url: str) -> None:
    """S3: successes, refusals, retries, probes and undos: computed again, none differs; a forged one does."""
    ledger = Ledger()
    ledger.plan("reserve", lose_reply)
    ledger.answer("reserve", NotFound())
    ledger.plan("ship", away, away)
    ledger.plan("charge", refuse)
    quick = Retry(attempts=4, first="1ms", most="2ms")
    reserve, ship, charge = (make_step(ledger, name, retry=quick) for name in ("reserve", "ship", "charge"))

    @saga("verified")
    async def verified(order: str) -> str:
        await reserve(order)
        await ship(order)
        return await charge(order)

    async with working(database_url, verified) as w:
        assert await w.ended(verified) == "declined"
        found = await verify(w.engine)
        assert (found.effects, found.unknown, found.differences) == (5, 0, [])
        rows.execute(
            w.url, "UPDATE saga.effect SET status = 'succeeded', proof = 'forged' WHERE step = 'charge#1'"
        )
        (difference,) = (await verify(w.engine)).differences
    assert (difference.step, difference.stored, difference.computed) == ("charge#1", "succeeded", "refused")

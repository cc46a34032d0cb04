"""User code around an attempt may fail in any way: it leaves doubt, and never a hole."""

from __future__ import annotations

import json

import pytest

from saga import SagaDefinition, Service, Step, saga
from tests.support import rows
from tests.support.fakes import Ledger, make_step
from tests.support.working import working


def one_step(step: Step[[str], str]) -> SagaDefinition[str, str]:
    """A saga of this one step."""

    @saga("one")
    async def one(order: str) -> str:
        return await step(order)

    return one


@pytest.mark.parametrize("broken", ["classify", "repr", "validator", "exit"])
async def test_user_code_that_fails_around_an_attempt_leaves_doubt_and_no_hole(
    database_url: str, broken: str
) -> None:
    """A classifier that raises, a result whose repr raises: unknown or unstorable, and never a lost observation."""
    ledger = Ledger()

    class Odd(str):
        __slots__ = ()

        def __repr__(self) -> str:
            raise RuntimeError("repr is broken")

    def classify(error: BaseException) -> None:
        raise RuntimeError("the classifier is broken")

    async def odd(ledger: Ledger, call: object, what: str) -> str:
        ledger.land(call, what)  # type: ignore[arg-type]
        if broken == "exit":
            raise SystemExit(1)
        if broken == "classify":
            raise TimeoutError
        return Odd("\x00" if broken == "repr" else "\ud800")

    ledger.plan("charge", odd)
    service = Service("odd", remembers="all", key_lifetime="24h", classify=classify)
    charge = make_step(ledger, "charge", service=service if broken == "classify" else None)
    definition = one_step(charge)
    async with working(database_url, definition) as w:
        if broken in ("classify", "exit"):
            assert await w.run(definition) == "a done"
        else:
            row = await w.parked(definition)
            assert row["park_cause"] == "unstorable"
    assert ledger.names() == ["charge"]
    shown = json.dumps([e["body"] for e in rows.evidence_of(database_url, "k")], default=str)
    assert "reply" in {e["kind"] for e in rows.evidence_of(database_url, "k")}, shown

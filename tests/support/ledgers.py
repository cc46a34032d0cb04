"""What the services' ledgers must say at the end of an order."""

from __future__ import annotations

from examples.checkout.services.control import Services


def assert_bought(services: Services, order: str) -> None:
    """One reservation and one charge stand, and nothing was undone."""
    stock, money = services.inventory.book(), services.payment.book()
    assert len(stock.of("reservation", order)) == 1
    assert len(money.of("charge", order)) == 1
    assert stock.of("release", order) == []
    assert money.of("refund", order) == []


def assert_undone(services: Services, order: str, *, charges: int = 1) -> None:
    """One reservation and so many charges were made, and each was undone once."""
    stock, money = services.inventory.book(), services.payment.book()
    reservations, taken = stock.of("reservation", order), money.of("charge", order)
    assert (len(reservations), len(taken)) == (1, charges)
    assert [u.undoes for u in stock.of("release", order)] == [reservations[0].id]
    assert [u.undoes for u in money.of("refund", order)] == [c.id for c in taken]

"""The audit: what the services' ledgers hold, against every answer that any customer got. Pure.

Definitions, from the ledgers and from nothing that the engine says of itself:

* *standing*: booked, and not undone by a later entry (a charge without a refund, a reservation without a release);
* *double charge*: each charge of an order beyond its first, refunded or not;
* *orphan*: a standing charge of an order that is not confirmed and whose saga is not parked for a person;
* *lost reply*: an effect whose own request never got its reply delivered;
* *wrong answer*: `confirmed` without exactly one standing charge and one standing reservation at that moment;
  `declined` or `try_again` while a charge or a reservation stands. `processing` claims nothing and is never wrong;
* *surplus*: an undoing beyond the first: a charge refunded twice, a reservation released twice.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from saga.demo.example import book

CONFIRMED, DECLINED, TRY_AGAIN, PROCESSING = "confirmed", "declined", "try_again", "processing"
WORDS = (CONFIRMED, DECLINED, TRY_AGAIN, PROCESSING)
FORWARD = ("reserve", "charge")


@dataclass(frozen=True, slots=True)
class Heard:
    """One answer of `GET /orders/{id}`. `at`: epoch seconds when the customer had it."""

    order: str
    at: float
    word: str


@dataclass(frozen=True, slots=True)
class Books:
    """The three ledgers, read when the services had come to rest."""

    inventory: "book.Book"
    payment: "book.Book"
    notification: "book.Book"


@dataclass(slots=True)
class Findings:
    """What the audit found."""

    orders: int
    words: Counter[str] = field(default_factory=Counter[str])
    parked: int = 0
    lost_replies: int = 0
    double_charges: int = 0
    orphan_charges: int = 0
    wrong_answers: int = 0
    surplus: int = 0
    declined_orders: set[str] = field(default_factory=set[str])
    refused_orders: set[str] = field(default_factory=set[str])
    sentences: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class _Stands:
    """One effect and its end. `until` is infinite while it stands."""

    since: float
    until: float = float("inf")
    undone: int = 0


class _Standing:
    """Which effects of a kind stood at which moment, by order."""

    def __init__(self, ledger: "book.Book", kind: str, undoing: str) -> None:
        ended = {e.id: e for e in ledger.effects}
        self.by_order: dict[str, dict[str, _Stands]] = {}
        for effect in ledger.of(kind):
            self.by_order.setdefault(effect.reference, {})[effect.id] = _Stands(effect.at)
        for undo in ledger.of(undoing):
            assert undo.undoes is not None
            stands = self.by_order[ended[undo.undoes].reference][undo.undoes]
            stands.until = min(stands.until, undo.at)
            stands.undone += 1

    def at(self, order: str, moment: float) -> int:
        """How many stood for the order at that moment."""
        return sum(s.since <= moment < s.until for s in self.by_order.get(order, {}).values())

    def now(self, order: str) -> int:
        """How many stand in the end."""
        return sum(s.until == float("inf") for s in self.by_order.get(order, {}).values())

    def ever(self, order: str) -> int:
        """How many there ever were."""
        return len(self.by_order.get(order, {}))

    def undone_twice(self) -> list[str]:
        """Orders of effects that were undone more than once."""
        return [o for o, effects in self.by_order.items() for s in effects.values() if s.undone > 1]


def audit(books: Books, heard: Sequence[Heard], orders: Collection[str], parked: Collection[str]) -> Findings:
    """Compares. `orders`: the ids of all orders; `parked`: of those whose saga waits for a person."""
    found = Findings(len(orders), parked=len(parked))
    charges = _Standing(books.payment, "charge", "refund")
    stock = _Standing(books.inventory, "reservation", "release")
    last = {h.order: h.word for h in sorted(heard, key=lambda h: h.at)}
    for order in orders:
        word = last.get(order, PROCESSING)
        found.words[word] += 1
        if word == DECLINED:
            found.declined_orders.add(order)
        _count_charges(found, charges, order, word, order in parked)
    for one in heard:
        _judge(found, one, charges.at(one.order, one.at), stock.at(one.order, one.at))
    for what, standing in (("refunded", charges), ("released", stock)):
        twice = standing.undone_twice()
        found.surplus += len(twice)
        found.sentences += [f"{order}: {what} more than once" for order in twice]
    ledgers = (books.inventory, books.payment, books.notification)
    found.lost_replies = sum(not effect.delivered for ledger in ledgers for effect in ledger.effects)
    found.refused_orders = {
        r.reference for ledger in ledgers for r in ledger.refusals if r.operation in FORWARD
    }
    return found


def _count_charges(found: Findings, charges: _Standing, order: str, word: str, parked: bool) -> None:  # noqa: FBT001
    if (more := charges.ever(order) - 1) > 0:
        found.double_charges += more
        found.sentences.append(f"{order}: charged {more + 1} times")
    if word != CONFIRMED and not parked and (orphans := charges.now(order)):
        found.orphan_charges += orphans
        found.sentences.append(f"{order}: {word}, and {orphans} charge(s) stand")


def _judge(found: Findings, heard: Heard, charges: int, reservations: int) -> None:
    right = {
        CONFIRMED: charges == 1 and reservations == 1,
        DECLINED: not charges and not reservations,
        TRY_AGAIN: not charges and not reservations,
        PROCESSING: True,
    }
    if not right.get(heard.word, False):
        found.wrong_answers += 1
        found.sentences.append(
            f"{heard.order}: told {heard.word} with {charges} charge(s) and {reservations} reservation(s)"
        )

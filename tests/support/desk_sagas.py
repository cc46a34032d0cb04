"""Sagas that get stuck in every way an operator meets, and an engine of them for the command line.

`SAYS`, `BUGS` and `VAGUE` rule how the services behave in this process; an order whose name begins with "lost" loses
its reply, one with "stubborn" refuses its refund.
"""

from dataclasses import dataclass

from saga import Answer, Call, Engine, Landed, NotFound, Refused, Service, Signal, Unknown, saga, step

psp = Service("psp", lateness="0s", staleness="0s")
dark = Service("dark", lateness="1h")

SAYS: dict[str, Answer[dict[str, str]]] = {}
"""What the psp answers about an order; else that it knows nothing."""
BUGS: set[str] = set()
"""Orders at which the saga function has a bug."""
VAGUE: set[str] = set()
"""Orders whose refund loses its reply."""


@step(psp, timeout="1s", probes=1, watch_for="1h")
async def charge(call: Call, order: str) -> dict[str, str]:
    if order.startswith("lost"):
        raise Unknown("the reply was lost")
    return {"id": order}


@charge.status
async def charge_status(call: Call, order: str) -> Answer[dict[str, str]]:
    return SAYS.get(order, NotFound())


@charge.compensate
async def refund(call: Call, payment: dict[str, str], order: str) -> None:
    if "stubborn" in order:
        raise Refused("too_late", "not refundable any more")
    if order in VAGUE:
        raise Unknown("the reply was lost")


@refund.status
async def refund_status(call: Call, *_: object, **__: object) -> Answer[None]:
    return NotFound()


@step(dark, timeout="1s", undo="nothing", at_most_once=True)
async def fax(call: Call, order: str) -> str:
    if order.startswith("ok"):
        return f"faxed {order}"
    raise Unknown("the line was cut")


@saga("paying")
async def paying(order: str) -> str:
    payment = await charge(order)
    if order in BUGS:
        raise ValueError("a bug")
    return payment["id"]


@saga("faxing")
async def faxing(order: str) -> str:
    await charge(order)
    return await fax(order)


@dataclass(frozen=True)
class Word:
    by: str


word = Signal("word", Word)


@saga("asking")
async def asking(order: str) -> str:
    await charge(order)
    return (await word.wait(timeout="1h")).by


SAGAS = (paying, faxing, asking)
engine = Engine(sagas=SAGAS)
nothing = "no engine"


def landed(order: str) -> None:
    """From now on the psp says that it has the charge."""
    SAYS[order] = Landed({"id": f"found {order}"})


def forget() -> None:
    """Everything behaves again."""
    SAYS.clear()
    BUGS.clear()
    VAGUE.clear()

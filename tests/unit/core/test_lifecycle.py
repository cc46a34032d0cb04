"""The life of a saga: every status and every event, exhaustively."""

from itertools import product

import pytest

from saga.core.lifecycle import MOVES, Event, IllegalMove, after
from saga.core.model import ENDS, EndCause, SagaStatus, View, view_of

LEGAL = {
    Event.CLAIMED: {SagaStatus.READY: SagaStatus.RUNNING},
    Event.SLEPT: {SagaStatus.RUNNING: SagaStatus.ASLEEP},
    Event.WOKEN: {
        SagaStatus.READY: SagaStatus.READY,
        SagaStatus.RUNNING: SagaStatus.RUNNING,
        SagaStatus.ASLEEP: SagaStatus.READY,
        SagaStatus.PARKED: SagaStatus.READY,
        **{end: end for end in ENDS},
    },
    Event.RELEASED: {SagaStatus.RUNNING: SagaStatus.READY},
    Event.REAPED: {SagaStatus.RUNNING: SagaStatus.READY},
    Event.TURNED: {SagaStatus.RUNNING: SagaStatus.RUNNING},
    Event.PARKED: {SagaStatus.RUNNING: SagaStatus.PARKED},
    Event.COMPLETED: {SagaStatus.RUNNING: SagaStatus.COMPLETED},
    Event.COMPENSATED: {SagaStatus.RUNNING: SagaStatus.COMPENSATED},
    Event.ABANDONED: dict.fromkeys(
        (SagaStatus.READY, SagaStatus.ASLEEP, SagaStatus.PARKED), SagaStatus.ABANDONED
    ),
}


@pytest.mark.parametrize(("status", "event"), list(product(SagaStatus, Event)))
def test_every_event_in_every_status(status: SagaStatus, event: Event) -> None:
    """It moves the saga as written here, a second time and by hand, or it is illegal and says so."""
    expected = LEGAL[event].get(status)
    if expected is None:
        with pytest.raises(IllegalMove, match=f"{status} cannot be {event}"):
            after(status, event)
    else:
        assert after(status, event) is expected


def test_an_end_is_never_left() -> None:
    """Late evidence is kept; the end stays."""
    assert all(to is status for (status, _), to in MOVES.items() if status in ENDS)


def test_every_status_that_is_no_end_can_be_left_and_every_status_reached() -> None:
    """Nothing is stuck by construction."""
    reached = {SagaStatus.READY} | {to for (status, _), to in MOVES.items() if to is not status}
    left = {status for (status, _), to in MOVES.items() if to is not status}
    assert reached == set(SagaStatus)
    assert left == set(SagaStatus) - ENDS


def test_s39_only_its_owner_takes_a_running_saga_elsewhere() -> None:
    """An operator cannot abandon what runs."""
    with pytest.raises(IllegalMove):
        after(SagaStatus.RUNNING, Event.ABANDONED)


@pytest.mark.parametrize(("status", "cause"), list(product(SagaStatus, [None, *EndCause])))
def test_a_customer_hears_only_what_is_proven(status: SagaStatus, cause: EndCause | None) -> None:
    """Confirmed means completed; declined and try again mean compensated; everything else is processing."""
    expected = {
        (SagaStatus.COMPENSATED, EndCause.REFUSED): View.DECLINED,
        (SagaStatus.COMPENSATED, EndCause.CANCELLED): View.DECLINED,
        (SagaStatus.COMPENSATED, EndCause.NOT_EXECUTED): View.TRY_AGAIN,
        (SagaStatus.COMPENSATED, EndCause.DEADLINE): View.TRY_AGAIN,
        (SagaStatus.COMPENSATED, EndCause.TIMED_OUT): View.TRY_AGAIN,
    }
    if status is SagaStatus.COMPLETED:
        assert view_of(status, cause) is View.CONFIRMED
    else:
        assert view_of(status, cause) is expected.get((status, cause), View.PROCESSING)  # type: ignore[arg-type]

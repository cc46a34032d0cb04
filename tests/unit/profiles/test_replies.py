"""What a reply proves about a request to one service, by its promises: S17 to S20, and what a step says itself."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from saga import NotExecuted, Refused, Service, Unknown, errors
from saga.core import model
from saga.core.model import Hint, Kept
from saga.http import classify
from saga.replies import Classify
from saga_worker.performer import proven

STRIPE = Service.from_profile("stripe-v1", name="psp", classify=classify)


def reply(status: int, body: Any = None, **headers: str) -> httpx.HTTPStatusError:
    """What `raise_for_status` raises."""
    request = httpx.Request("POST", "https://psp.example/charges")
    given = {"headers": headers, "text": "<html>"} if body is None else {"headers": headers, "json": body}
    response = httpx.Response(status, request=request, **given)
    return httpx.HTTPStatusError("no", request=request, response=response)


def test_s18_in_progress_is_unknown_with_its_wait() -> None:
    """Also from a proxy: it proves nothing either way."""
    told = STRIPE.proves(reply(409, {"error": {"code": "idempotency_key_in_use"}}, **{"retry-after": "7"}))
    assert isinstance(told, errors.InProgress)
    assert told.retry_after == 7
    assert isinstance(STRIPE.proves(reply(409)), errors.InProgress)
    outcome = proven(reply(409, {}, **{"Retry-After": "7"}), STRIPE)
    assert outcome == model.Unknown("http 409", Hint.IN_PROGRESS, 7.0)


def test_s19_mismatch_is_told_by_its_word() -> None:
    """The same status without the word is the refusal that it always was."""
    mismatch = reply(400, {"error": {"type": "idempotency_error", "message": "…"}})
    assert isinstance(STRIPE.proves(mismatch), errors.Mismatch)
    assert proven(mismatch, STRIPE) == model.Unknown("http 400: idempotency_error", Hint.MISMATCH)
    plain = STRIPE.proves(reply(400, {"error": {"type": "invalid_request_error"}}))
    assert isinstance(plain, Refused)


def test_s20_an_error_of_the_service_is_told_as_one() -> None:
    """Of whatever 5xx, since any may have been kept."""
    for status in (500, 502, 503, 504, 599):
        assert isinstance(STRIPE.proves(reply(status)), errors.ServerError)
    outcome = proven(reply(500), STRIPE)
    assert isinstance(outcome, model.Unknown)
    assert outcome.hint is Hint.SERVER_ERROR


@pytest.mark.parametrize(("status", "kept"), [(402, Kept.YES), (400, Kept.NO), (404, Kept.NO)])
def test_s17_a_refusal_says_whether_it_is_kept(status: int, kept: Kept) -> None:
    """By the list of what the service stores."""
    outcome = proven(reply(status, {"error": {"code": "no"}}), STRIPE)
    assert isinstance(outcome, model.Refused)
    assert (outcome.code, outcome.rule, outcome.kept) == ("no", f"http {status}", kept)


def test_s17_a_step_that_says_refused_is_believed_as_far_as_it_tells_the_status() -> None:
    """Without one, nobody knows whether it is kept, and so it speaks for its own attempt alone."""
    told = proven(Refused("no", status=402), STRIPE)
    assert isinstance(told, model.Refused)
    assert told.kept is Kept.YES
    told = proven(Refused("no"), STRIPE)
    assert isinstance(told, model.Refused)
    assert told.kept is Kept.NO
    told = proven(Refused("no"), Service("psp", remembers="all", key_lifetime="24h"))
    assert isinstance(told, model.Refused)
    assert told.kept is Kept.BY_PROMISE


def test_shedding_is_a_proof_in_the_services_own_format_only() -> None:
    """A proxy that says 429 may have sent the request on before."""
    shed = STRIPE.proves(reply(429, {"error": {"code": "rate_limit"}}, **{"retry-after": "2"}))
    assert isinstance(shed, NotExecuted)
    assert (shed.rule, shed.retry_after) == ("http 429, shed by promise", 2)
    for other in (reply(429), reply(429, {"error": {"code": "lock_timeout"}})):
        assert type(STRIPE.proves(other)) is Unknown


def test_a_conflict_by_promise_is_a_refusal_in_the_services_own_format_only() -> None:
    """409 means this here, and that there."""
    service = Service("stock", conflict=[409], classify=classify)
    told = service.proves(reply(409, {"code": "sold_out", "message": "none left"}))
    assert isinstance(told, Refused)
    assert (told.code, told.message, told.rule, told.status) == (
        "sold_out",
        "none left",
        "http 409, conflict by promise",
        409,
    )
    assert type(service.proves(reply(409))) is Unknown


def test_without_promises_every_status_is_what_it_always_was() -> None:
    """Plain `classify` and a service that says nothing agree, but for the reason that is told."""
    plain = Service("psp", classify=classify)
    for status in range(300, 600):
        for error in (reply(status), reply(status, {"code": "no"})):
            alone, through = classify(error), plain.proves(error)
            assert type(through) is type(alone) or (alone is None and isinstance(through, Unknown))


def test_a_retry_after_that_is_a_date_or_nonsense_is_no_wait() -> None:
    """A date would need two wall clocks that agree."""
    for text in ("Wed, 21 Oct 2026 07:28:00 GMT", "-5", "1e9", "soon", "٧"):
        told = STRIPE.proves(reply(503, {}, **{"retry-after": text.encode("ascii", "ignore").decode()}))
        assert isinstance(told, Unknown)
        assert told.retry_after is None


def test_a_classifiers_own_word_stands() -> None:
    """It may know better than a status; the status it looked at is noted for what is kept."""

    def own(error: BaseException) -> Refused | None:
        told = classify(error)
        return Refused("mine") if isinstance(told, Refused) else None

    service = Service.from_profile("stripe-v1", name="psp", classify=own)
    told = service.proves(reply(400, {"error": {"type": "idempotency_error"}}))
    assert isinstance(told, Refused)
    assert (told.code, told.status) == ("mine", 400)


def test_what_is_no_reply_is_read_as_before() -> None:
    """A refused connection was never sent; a read that broke is unknown; any other exception, too."""
    assert isinstance(STRIPE.proves(httpx.ConnectError("refused")), NotExecuted)
    assert STRIPE.proves(httpx.ReadError("reset")) is None
    assert STRIPE.proves(ValueError()) is None
    assert Service.from_profile("stripe-v1", name="psp").proves(reply(402)) is None


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (Unknown("who knows"), model.Unknown("who knows")),
        (Unknown("later", retry_after=3), model.Unknown("later", retry_after=3.0)),
        (errors.InProgress("at it", 2), model.Unknown("at it", Hint.IN_PROGRESS, 2.0)),
        (errors.Mismatch("other"), model.Unknown("other", Hint.MISMATCH)),
        (errors.ServerError("500"), model.Unknown("500", Hint.SERVER_ERROR)),
    ],
)
def test_a_steps_own_unknown_keeps_its_meaning(said: Unknown, outcome: model.Unknown) -> None:
    """Raised by the step, or returned by a classifier of one's own."""
    assert proven(said, Service("psp")) == outcome
    returns: Classify = lambda _: said  # noqa: E731
    assert proven(ValueError(), Service("psp", classify=returns)) == outcome


@pytest.mark.parametrize(
    ("service", "status", "body"),
    [
        ("paypal-orders-v2", 409, {"details": [{"issue": "PREVIOUS_REQUEST_IN_PROGRESS"}]}),
        ("adyen", 422, {"status": 422, "errorCode": "704"}),
        ("adyen", 409, {"errorCode": 704}),
        ("checkout-com", 409, {}),
    ],
)
def test_words_are_found_where_each_api_puts_them(service: str, status: int, body: Any) -> None:
    """In a list, a number, or none."""
    told = Service.from_profile(service, name="psp", classify=classify).proves(reply(status, body))
    assert isinstance(told, errors.InProgress)

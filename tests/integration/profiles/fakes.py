# ruff: noqa: ARG002, RUF012 - all providers have one signature, and their class attributes are data
"""The providers that profiles describe, as their documentation says they behave (see the source in each profile)."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from saga import Call, Refused
from saga.http import Client
from saga.profiles import braintree_transactions, checkout_payments, paypal_capture
from saga.profiles.probes import Probe
from tests.integration.profiles.provider import Body, Provider, Told
from tests.integration.profiles.stripe import StripeV1, StripeV2

SUCCESS = range(200, 300)


class PayPal(Provider):
    """Gives the latest status of the request that first had the id; an order is read by its own id."""

    profile = "paypal-orders-v2"
    path = "/v2/checkout/orders/5O19/capture"
    header = "PayPal-Request-Id"
    success = 201
    says = {
        "decline": (
            422,
            {"name": "UNPROCESSABLE_ENTITY", "details": [{"issue": "INSTRUMENT_DECLINED"}]},
        ),
        "invalid": (400, {"name": "INVALID_REQUEST", "details": [{"issue": "MISSING_REQUIRED_PARAMETER"}]}),
        "broken": (500, {"name": "INTERNAL_SERVER_ERROR"}),
        "in_progress": (
            409,
            {"name": "RESOURCE_CONFLICT", "details": [{"issue": "PREVIOUS_REQUEST_IN_PROGRESS"}]},
        ),
        "mismatch": (
            422,
            {"name": "UNPROCESSABLE_ENTITY", "details": [{"issue": "PAYPAL_REQUEST_ID_PREVIOUSLY_USED"}]},
        ),
    }

    def keeps(self, status: int) -> bool:
        return status in SUCCESS

    def made(self, number: int, key: str, *, failed: bool = False) -> Body:
        status = "DECLINED" if failed else "COMPLETED"
        return {"id": f"cap_{number}", "status": status, "create_time": f"2026-11-24T00:00:0{number}Z"}

    def probe(self, client: Client) -> Probe[str]:
        return paypal_capture(client, lambda one: str(one["id"]), order="order")

    def found(self, request: Request, body: Body) -> Response:
        assert request.url.path == "/v2/checkout/orders/5O19"
        captures = [*self.paid, *self.failed]
        units = [{"payments": {"captures": captures}} if captures else {}]
        return JSONResponse({"id": "5O19", "status": "APPROVED", "purchase_units": units})


class PayPalRefunds(PayPal):
    """The same id for refunds, which cannot be found by anything of ours."""

    profile = "paypal-payments-v2"
    path = "/v2/payments/captures/2GG2/refund"

    def probe(self, client: Client) -> None:  # type: ignore[override]  # there is none
        return None


class Adyen(Provider):
    """Keeps the reply to what was processed; a refused payment is a 200."""

    profile = "adyen"
    says = {
        "decline": (200, {"pspReference": "r", "resultCode": "Refused", "refusalReason": "Refused"}),
        "invalid": (422, {"status": 422, "errorCode": "100", "errorType": "validation"}),
        "broken": (500, {"status": 500, "errorCode": "905"}),
        "in_progress": (
            422,
            {"status": 422, "errorCode": "704", "message": "request already processed or in progress"},
        ),
    }

    def keeps(self, status: int) -> bool:
        return status in SUCCESS

    def made(self, number: int, key: str, *, failed: bool = False) -> Body:
        return {"pspReference": f"psp_{number}", "resultCode": "Refused" if failed else "Authorised"}

    def read(self, body: Body, status: int) -> str:
        if body["resultCode"] == "Refused":
            raise Refused("refused", str(body["refusalReason"]), status=status)
        return str(body["pspReference"])


class Square(Provider):
    """The key is in the body; the first success is kept."""

    profile = "square"
    overrides = {"key_lifetime": "24h"}
    path = "/v2/payments"
    says = {
        "decline": (
            400,
            {"errors": [{"category": "PAYMENT_METHOD_ERROR", "code": "GENERIC_DECLINE"}]},
        ),
        "invalid": (
            400,
            {"errors": [{"category": "INVALID_REQUEST_ERROR", "code": "MISSING_REQUIRED_PARAMETER"}]},
        ),
        "broken": (500, {"errors": [{"category": "API_ERROR", "code": "INTERNAL_SERVER_ERROR"}]}),
        "mismatch": (
            400,
            {"errors": [{"category": "INVALID_REQUEST_ERROR", "code": "IDEMPOTENCY_KEY_REUSED"}]},
        ),
    }

    def keeps(self, status: int) -> bool:
        return status in SUCCESS

    def made(self, number: int, key: str, *, failed: bool = False) -> Body:
        return {"payment": {"id": f"sq_{number}", "reference_id": key}}

    def sending(self, call: Call, amount: int) -> Body:
        assert len(call.key) <= 40, "reference_id takes no more"
        return {"json": {"idempotency_key": call.key, "reference_id": call.key, "amount": amount}}

    def key_of(self, request: Request, body: Body) -> str:
        return str(body["idempotency_key"])

    def read(self, body: Body, status: int) -> str:
        return str(body["payment"]["id"])


class Braintree(Provider):
    """Remembers nothing that one could rely upon; found by orderId."""

    profile = "braintree"
    overrides = {"staleness": "50ms"}
    path = "/graphql"
    says = {"broken": (500, {"errors": [{"message": "internal"}]})}

    def keeps(self, status: int) -> bool:
        return False

    def made(self, number: int, key: str, *, failed: bool = False) -> Body:
        status = "PROCESSOR_DECLINED" if failed else "SUBMITTED_FOR_SETTLEMENT"
        return {"id": f"tx_{number}", "status": status, "createdAt": f"{number}", "orderId": key}

    def reply(self, payment: Body) -> Told:
        return 200, {"data": {"chargePaymentMethod": {"transaction": payment}}}

    def sending(self, call: Call, amount: int) -> Body:
        paid = {"orderId": call.key, "amount": str(amount)}
        return {"json": {"query": "mutation …", "variables": {"input": {"transaction": paid}}}}

    def key_of(self, request: Request, body: Body) -> str:
        return str(body["variables"]["input"]["transaction"]["orderId"])

    def read(self, body: Body, status: int) -> str:
        return str(body["data"]["chargePaymentMethod"]["transaction"]["id"])

    def is_question(self, request: Request, body: Body) -> bool:
        return str(body["query"]).startswith("query")

    def probe(self, client: Client) -> Probe[str]:
        return braintree_transactions(client, lambda one: str(one["id"]))

    def found(self, request: Request, body: Body) -> Response:
        asked = body["variables"]
        there = [one for one in self.paid if one["orderId"] == asked["input"]["orderId"]["is"]]
        start = int(asked["after"] or 0)
        page: dict[str, Any] = {
            "pageInfo": {"hasNextPage": start + 1 < len(there), "endCursor": str(start + 1)},
            "edges": [{"node": one} for one in there[start : start + 1]],
        }
        return JSONResponse({"data": {"search": {"transactions": page}}})


class BraintreeGraphQL(Braintree):
    """With an apiRequestKey it remembers."""

    profile = "braintree-graphql"

    def keeps(self, status: int) -> bool:
        return status in SUCCESS

    def sending(self, call: Call, amount: int) -> Body:
        sent = super().sending(call, amount)
        sent["json"]["variables"]["input"]["apiRequestKey"] = call.key
        return sent


class CheckoutCom(Provider):
    """Keeps 2xx and nothing else; found by reference."""

    profile = "checkout-com"
    overrides = {"staleness": "50ms"}
    header = "Cko-Idempotency-Key"
    success = 201
    says = {
        "decline": (422, {"error_type": "processing_error", "error_codes": ["card_declined"]}),
        "invalid": (422, {"error_type": "request_invalid", "error_codes": ["amount_required"]}),
        "broken": (500, {"error_type": "internal"}),
        "in_progress": (409, {}),
    }

    def keeps(self, status: int) -> bool:
        return status in SUCCESS

    def made(self, number: int, key: str, *, failed: bool = False) -> Body:
        status = "Declined" if failed else "Authorized"
        return {"id": f"pay_{number}", "status": status, "reference": key, "requested_on": f"{number}"}

    def probe(self, client: Client) -> Probe[str]:
        return checkout_payments(client, lambda one: str(one["id"]))

    def found(self, request: Request, body: Body) -> Response:
        asked = request.query_params
        there = [one for one in self.paid if one["reference"] == asked["reference"]]
        skip = int(asked["skip"])
        return JSONResponse({"data": there[skip : skip + 1], "total_count": len(there), "skip": skip})


class Draft(Provider):
    """After the IETF draft: replays, 409 in progress, 422 for another payload; the key is in quotes."""

    profile = "ietf-idempotency-key"
    overrides = {"key_lifetime": "24h"}
    says = {
        "decline": (402, {"title": "declined"}),
        "invalid": (400, {"title": "Idempotency-Key is missing"}),
        "broken": (500, {"title": "internal"}),
        "in_progress": (409, {"title": "A request is outstanding for this Idempotency-Key"}),
        "mismatch": (422, {"title": "Idempotency-Key is already used"}),
    }

    def keeps(self, status: int) -> bool:
        return True

    def made(self, number: int, key: str, *, failed: bool = False) -> Body:
        return {"id": f"thing_{number}"}

    def sending(self, call: Call, amount: int) -> Body:
        return {"json": {"amount": amount}, "headers": {self.header: f'"{call.key}"'}}


ALL = (
    StripeV1,
    StripeV2,
    PayPal,
    PayPalRefunds,
    Adyen,
    Square,
    Braintree,
    BraintreeGraphQL,
    CheckoutCom,
    Draft,
)

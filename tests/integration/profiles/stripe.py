# ruff: noqa: ARG002, RUF012 - all providers have one signature, and their class attributes are data
"""Stripe's two APIs, as their documentation says they behave (see the sources in their profiles)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from saga import Call
from saga.http import Client
from saga.profiles import stripe_charges
from saga.profiles.probes import Probe
from tests.integration.profiles.provider import Body, Provider

SUCCESS = range(200, 300)


class StripeV1(Provider):
    """Keeps every reply once the endpoint began to execute; validation, 409 and 429 come before that."""

    profile = "stripe-v1"
    path = "/v1/charges"
    says = {
        "decline": (402, {"error": {"type": "card_error", "code": "card_declined"}}),
        "invalid": (400, {"error": {"type": "invalid_request_error", "code": "parameter_missing"}}),
        "shed": (429, {"error": {"type": "invalid_request_error", "code": "rate_limit"}}),
        "broken": (500, {"error": {"type": "api_error"}}),
        "in_progress": (409, {"error": {"type": "idempotency_error", "code": "idempotency_key_in_use"}}),
        "mismatch": (400, {"error": {"type": "idempotency_error"}}),
    }
    page = 2

    def keeps(self, status: int) -> bool:
        return True

    def made(self, number: int, key: str, *, failed: bool = False) -> Body:
        status = {"status": "failed", "failure_code": "card_declined"} if failed else {"status": "succeeded"}
        return {"id": f"ch_{number}", "created": number, "transfer_group": key, **status}

    def sending(self, call: Call, amount: int) -> Body:
        form = {"amount": str(amount), "transfer_group": call.key}
        return {"data": form, "headers": {self.header: call.key}}

    def probe(self, client: Client) -> Probe[str]:
        return stripe_charges(client, lambda one: str(one["id"]))

    def found(self, request: Request, body: Body) -> Response:
        asked = request.query_params
        there = [
            one
            for one in reversed([*self.paid, *self.failed])
            if one["transfer_group"] == asked["transfer_group"]
        ]
        ids = [one["id"] for one in there]
        start = ids.index(asked["starting_after"]) + 1 if "starting_after" in asked else 0
        page = there[start : start + self.page]
        return JSONResponse({"data": page, "has_more": start + self.page < len(there)})


class StripeV2(Provider):
    """Repeats no success, and drives failed work on under the same key."""

    profile = "stripe-v2"
    path = "/v2/payments"
    says = {
        "decline": (402, {"error": {"code": "card_declined"}}),
        "invalid": (400, {"error": {"code": "parameter_missing"}}),
        "broken": (500, {"error": {"code": "internal"}}),
        "in_progress": (409, {"error": {"code": "idempotency_key_in_use"}}),
        "mismatch": (400, {"error": {"type": "idempotency_error"}}),
    }

    def keeps(self, status: int) -> bool:
        return status in SUCCESS

    def made(self, number: int, key: str, *, failed: bool = False) -> Body:
        return {"id": f"pay_{number}"}

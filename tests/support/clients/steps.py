"""One step for each client library, as its users would write it, to be pointed at the hostile server."""

from __future__ import annotations

from contextvars import ContextVar
from functools import cache
from typing import Any, NamedTuple

import botocore.session

import saga.aiohttp
import saga.botocore
import saga.grpc
import saga.http
import saga.requests
from saga.testing.prove import Classify, Step

HEADERS = {"idempotency-key": "k"}
CREDENTIALS = {"region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "y"}
NOWHERE = "http://127.0.0.1:1"
_endpoint: ContextVar[str] = ContextVar("endpoint")

http = saga.http.client("")
blocking = saga.http.blocking_client("")
aio = saga.aiohttp.client("")


async def over_httpx(url: str, _: object) -> object:
    reply = await http.post(f"{url}/charges", json={"amount": 1}, headers=HEADERS)
    return reply.raise_for_status().json()


def over_httpx_blocking(url: str, _: object) -> object:
    reply = blocking.post(f"{url}/charges", json={"amount": 1}, headers=HEADERS)
    return reply.raise_for_status().json()


def over_requests(url: str, _: object) -> object:
    with saga.requests.session(headers=HEADERS) as session:
        reply = session.post(f"{url}/charges", json={"amount": 1})
        reply.raise_for_status()
        return reply.json()


async def over_aiohttp(url: str, _: object) -> object:
    reply = await aio.put(f"{url}/charges", json={"amount": 1}, headers=HEADERS)
    return await reply.json()


def in_grpc(url: str, _: object) -> object:
    with saga.grpc.channel(url.removeprefix("http://")) as channel:
        charge: Any = channel.unary_unary("/charges/Charge")
        return charge(b"1")


async def in_grpc_aio(url: str, _: object) -> object:
    async with saga.grpc.aio_channel(url.removeprefix("http://")) as channel:
        charge: Any = channel.unary_unary("/charges/Charge")
        return await charge(b"1")


@cache
def aws(service: str) -> Any:
    """A client of the service that goes to wherever the step that calls it is pointed."""
    made = session().create_client(
        service, endpoint_url=NOWHERE, config=saga.botocore.config(), **CREDENTIALS
    )

    def point(request: Any, **_: object) -> None:
        request.url = request.url.replace(NOWHERE, _endpoint.get())

    made.meta.events.register("before-sign", point)
    return saga.botocore.in_budget(made)


@cache
def session() -> Any:
    return botocore.session.get_session()


def over_sqs(url: str, _: object) -> object:
    _endpoint.set(url)
    return aws("sqs").send_message(QueueUrl=f"{NOWHERE}/1/q", MessageBody="x")["MessageId"]


def over_dynamodb(url: str, _: object) -> object:
    _endpoint.set(url)
    return aws("dynamodb").put_item(TableName="t", Item={"id": {"S": "x"}})


def over_s3(url: str, _: object) -> object:
    _endpoint.set(url)
    return aws("s3").put_object(Bucket="b", Key="k", Body=b"x")


class Client(NamedTuple):
    """A step, and what its service is classified by."""

    step: Step
    classify: Classify


HTTP: dict[str, Client] = {
    "httpx": Client(over_httpx, saga.http.classify),
    "httpx, blocking": Client(over_httpx_blocking, saga.http.classify),
    "requests": Client(over_requests, saga.requests.classify),
    "aiohttp": Client(over_aiohttp, saga.aiohttp.classify),
}
AWS: dict[str, Client] = {
    "SQS": Client(over_sqs, saga.botocore.classify),
    "DynamoDB": Client(over_dynamodb, saga.botocore.classify),
    "S3": Client(over_s3, saga.botocore.classify),
}
GRPC: dict[str, Client] = {
    "grpc": Client(in_grpc, saga.grpc.classify),
    "grpc.aio": Client(in_grpc_aio, saga.grpc.classify),
}


async def close() -> None:
    """What the clients of this loop opened."""
    await http.aclose()
    await aio.aclose()
    blocking.close()

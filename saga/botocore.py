"""botocore and boto3 for `def` steps: `classify` says what an exception proves, `client` sends once.

Rules that hold here: what is not proven is unknown (S2); AWS says why in a code, and only codes that are
listed here prove anything; one attempt (botocore's default sends three to five), within the attempt's budget
(S11); botocore is imported in this module only.
"""

from __future__ import annotations

import threading
from typing import Any

try:
    import botocore
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        "saga.botocore needs botocore: install the extra, `pip install 'saga-engine[botocore]'`",
        name="botocore",
    ) from missing

import botocore.session
from botocore import exceptions
from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
    AWSPreparedRequest,
)
from botocore.config import Config
from botocore.httpsession import URLLib3Session
from botocore.parsers import ResponseParserError

from saga import wire
from saga.budgets import Deadline, budget
from saga.core.durations import Duration, parse
from saga.errors import DefinitionError, NotExecuted, Refused
from saga.traces import said

_THROTTLED = frozenset({
    "BandwidthLimitExceeded", "EC2ThrottledException", "ProvisionedThroughputExceededException", "RequestLimitExceeded",
    "RequestThrottled", "RequestThrottledException", "SlowDown", "ThrottledException", "Throttling", "ThrottlingException",
    "TooManyRequestsException",
})  # fmt: skip
"""Shed before execution (botocore's own list, less what is in progress and what is a quota)."""

_CREDENTIALS = frozenset({
    "AccessDenied", "AccessDeniedException", "AuthFailure", "ExpiredToken", "ExpiredTokenException",
    "IncompleteSignature", "InvalidAccessKeyId", "InvalidClientTokenId", "InvalidSignatureException",
    "MissingAuthenticationToken", "MissingAuthenticationTokenException", "NotAuthorized", "OptInRequired",
    "RequestExpired", "SignatureDoesNotMatch", "UnauthorizedOperation", "UnrecognizedClientException",
})  # fmt: skip
"""Judged before execution. Not refusals: a rotated secret or a mistaken policy must not undo sagas."""

_REFUSED = frozenset({
    "InvalidParameterCombination", "InvalidParameterException", "InvalidParameterValue",
    "InvalidParameterValueException", "InvalidRequestException", "MalformedInput", "MissingParameter", "NoSuchBucket",
    "NoSuchKey", "NotFoundException", "QueueDoesNotExist", "ResourceNotFound", "ResourceNotFoundException",
    "SerializationException", "ValidationError", "ValidationException",
    "AWS.SimpleQueueService.NonExistentQueue",
})  # fmt: skip
"""A final no to the request as it is."""

_NEVER_SENT = (
    exceptions.EndpointConnectionError,
    exceptions.ConnectTimeoutError,
    exceptions.ProxyConnectionError,
    exceptions.ParamValidationError,
    exceptions.NoCredentialsError,
    exceptions.NoRegionError,
)
_CLIENT_ERRORS = range(400, 500)
_REDIRECTIONS = range(300, 400)
_SHED = 503


def classify(error: BaseException) -> Refused | NotExecuted | None:
    """What `error` proves, for `Service(classify=…)`: a final no, that nothing happened, or None: unknown.

    Each proof carries its `rule`, such as "botocore.ConnectTimeoutError" or "aws ValidationException".
    ConditionalCheckFailed is unknown: after an unknown attempt it may be our own write that it met.
    """
    if isinstance(error, exceptions.ClientError):
        return _of_code(error)
    tls = isinstance(error, exceptions.SSLError) and wire.handshake_failed(error)
    if tls or (isinstance(error, _NEVER_SENT) and not wire.retried(error)):
        return NotExecuted(said(error), rule=f"botocore.{type(error).__name__}")
    return None


def _of_code(error: exceptions.ClientError) -> Refused | NotExecuted | None:
    told: Any = error.response
    code = str(told.get("Error", {}).get("Code", ""))
    metadata = told.get("ResponseMetadata", {})
    status = metadata.get("HTTPStatusCode", 0)
    rule = f"aws {code}"
    if metadata.get("RetryAttempts", 0):
        return None  # this is about the last attempt, and not about those before
    if code in _THROTTLED and (status in _CLIENT_ERRORS or status == _SHED):
        return NotExecuted(f"{rule}: shed, not executed", rule=rule)
    if status not in _CLIENT_ERRORS:
        return None
    if code in _CREDENTIALS:
        return NotExecuted(f"{rule}: mend the credentials or the policy", rule=rule)
    if code in _REFUSED:
        return Refused(code, str(told["Error"].get("Message", ""))[:2000], rule=rule)
    return None


def config(**options: Any) -> Config:
    """A `Config` that sends once; options as in botocore, such as region_name."""
    settings: Any = {**options, "retries": {"total_max_attempts": 1, "mode": "standard"}}
    return Config(**settings)


def client(service: str, *, timeout: Duration = "30s", verify: Any = True, **options: Any) -> Any:
    """A client for `def` steps: one attempt, no proxies of the environment, a total deadline.

    Args:
        service: such as "sqs".
        timeout: of one request outside an attempt; inside one, what is left of the attempt.
        verify: as in botocore: True, or the path of the certificates to trust.
        options: as in botocore's `create_client`: region_name, endpoint_url, credentials. A `config` is merged.
    """
    given = options.pop("config", None)
    once = config() if given is None else given.merge(config())
    made = botocore.session.get_session().create_client(service, config=once, verify=verify, **options)
    return in_budget(made, timeout=timeout, verify=verify)


def in_budget(client: Any, *, timeout: Duration = "30s", verify: Any = True) -> Any:
    """The same client of botocore or boto3, made to keep the attempt's budget; made with `config()`.

    A body that is streamed (S3's GetObject) is read later, and has no deadline.

    Raises:
        DefinitionError: the client would send more than once.
    """
    check_client(client)
    sender = _Sender(parse(timeout).total_seconds(), verify)
    client.meta.events.register("before-call", sender.begin)
    client.meta.events.register("before-send", sender.send)
    return client


def check_client(client: Any) -> None:
    """See that a client of your own makes one attempt.

    Raises:
        DefinitionError: it makes more; the sentence says how to make it.
    """
    retries: Any = client.meta.config.retries or {}
    attempts = retries.get("total_max_attempts")
    if attempts != 1:
        many = "as many as botocore likes" if attempts is None else str(attempts)
        raise DefinitionError([f"this AWS client makes {many} attempts: config=saga.botocore.config()"])


class _Connection(AWSHTTPConnection):
    """Tells the deadline its socket."""

    def connect(self) -> None:
        super().connect()
        wire.opened(self)


class _SecureConnection(AWSHTTPSConnection):
    """As `_Connection`, with TLS."""

    def connect(self) -> None:
        super().connect()
        wire.opened(self)


class _Pool(AWSHTTPConnectionPool):
    ConnectionCls = _Connection

    def urlopen(self, *args: Any, **options: Any) -> Any:
        return super().urlopen(*args, **wire.in_time(options))


class _SecurePool(AWSHTTPSConnectionPool):
    ConnectionCls = _SecureConnection

    def urlopen(self, *args: Any, **options: Any) -> Any:
        return super().urlopen(*args, **wire.in_time(options))


class _Session(URLLib3Session):
    """botocore's, with connections that know the deadline."""

    def __init__(self, verify: Any) -> None:
        options: Any = wire.OPTIONS
        super().__init__(verify=verify, socket_options=options)
        manager: Any = vars(self)["_manager"]
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}


class _Sender:
    """Sends one client's requests in place of botocore: each call once, within its attempt's budget.

    S3's client follows 301, 302 and 307 whatever the number of attempts is, for ever if it is led in a circle.
    """

    def __init__(self, timeout_s: float, verify: Any) -> None:
        self._timeout_s = timeout_s
        self._session = _Session(verify)
        self._calls = threading.local()

    def begin(self, **_: Any) -> None:
        """A new call begins on this thread: nothing was sent for it."""
        self._calls.sent = False

    def send(self, request: AWSPreparedRequest, **_: Any) -> Any:
        """Send it, and read the reply in full."""
        if getattr(self._calls, "sent", False):
            raise exceptions.HTTPClientError(error="botocore would have sent the call a second time")
        seconds = budget(self._timeout_s)
        self._calls.sent = True
        request.headers["Connection"] = "close"
        with Deadline(seconds) as deadline:
            token = wire.deadline.set(deadline)
            try:
                response = self._session.send(request)
            except exceptions.HTTPClientError as error:
                if deadline.sent and deadline.over:
                    raise exceptions.ReadTimeoutError(endpoint_url=request.url, error=error) from error
                raise
            finally:
                wire.deadline.reset(token)
            if deadline.over:  # the socket was shut: what looks like a reply may be half of one
                raise exceptions.ReadTimeoutError(endpoint_url=request.url, error="the deadline passed")
        flaw = _flaw(request, response)
        if flaw is not None:
            raise ResponseParserError(flaw)
        return response


def _flaw(request: AWSPreparedRequest, response: Any) -> str | None:
    """What keeps the reply from being whole; botocore takes a cut-off or garbled JSON body for an empty one."""
    headers: dict[str, str] = {name.lower(): value for name, value in response.headers.items()}
    if response.status_code in _REDIRECTIONS:
        return f"{response.status_code}: a redirect, not followed"
    found = wire.flaw(str(request.method), response.status_code, headers)
    if found is not None or request.stream_output:
        return found
    length = headers.get("content-length", "")
    if request.method != "HEAD" and length.isdigit() and len(response.content) != int(length):
        return "the reply is cut off"
    if headers.get("content-encoding", "identity") not in ("", "identity", "aws-chunked"):
        return "the reply is encoded in a way that nobody asked for"
    return None

"""gRPC for steps: `classify` says what a status proves, `channel_options` and the deadlines send once.

Rules that hold here: what is not proven is unknown (S2): a refused connection and a server that was killed
after the effect both say UNAVAILABLE; a status that grpc itself can make up is never a refusal; a call has
always a deadline, the attempt's (S11). grpcio is imported in this module only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

try:
    import grpc
    import grpc.aio
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        "saga.grpc needs grpcio: install the extra, `pip install 'saga-engine[grpc]'`", name="grpc"
    ) from missing

from saga.budgets import budget
from saga.core.durations import Duration, parse
from saga.errors import DefinitionError, NotExecuted, Refused, Unknown

_REFUSED = frozenset(
    {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.OUT_OF_RANGE, grpc.StatusCode.FAILED_PRECONDITION}
)
_MADE_UP = "Stream removed"  # grpc's own words for a stream that was reset, whatever status it makes of that
_OF_A_PROXY = "Received http2 header with status"  # and for an HTTP status instead of gRPC's own
_CREDENTIALS = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED})


def classify(error: BaseException) -> Refused | NotExecuted | None:
    """What `error` proves, for `Service(classify=…)`: a final no, that nothing happened, or None: unknown.

    Each proof carries its `rule`, such as "grpc FAILED_PRECONDITION". ALREADY_EXISTS is likely our own
    effect: unknown, so that the probe decides.
    """
    if not isinstance(error, grpc.RpcError):
        return None
    told: Any = error
    code, details = told.code(), str(told.details() or "")
    rule = f"grpc {getattr(code, 'name', code)}"
    if code in _REFUSED:
        return Refused(code.name.lower(), details[:2000], rule=rule)
    if details.startswith(_MADE_UP):
        return None
    if code in _CREDENTIALS:
        return NotExecuted(f"{rule}: mend the credentials: {details}", rule=rule)
    if code is grpc.StatusCode.UNIMPLEMENTED and not details.startswith(_OF_A_PROXY):
        return NotExecuted(f"{rule}: {details}", rule=rule)
    return None


def channel_options() -> list[tuple[str, Any]]:
    """For `grpc.insecure_channel(options=…)` and its kin: no retries, no service config from DNS, no proxy.

    With retries enabled, which is grpc's default, a GOAWAY makes it send a call again that was read in full.
    """
    return [
        ("grpc.enable_retries", 0),
        ("grpc.service_config_disable_resolution", 1),
        ("grpc.enable_http_proxy", 0),
    ]


def check_options(options: Sequence[tuple[str, Any]]) -> None:
    """See that a channel of your own with these options sends once; a channel itself cannot be seen into.

    Raises:
        DefinitionError: with a sentence for each thing that is wrong.
    """
    problems: list[str] = []
    given = dict(options)
    if given.get("grpc.enable_retries", 1) != 0:
        problems.append('this channel sends a call again on its own: ("grpc.enable_retries", 0)')
    config = str(given.get("grpc.service_config", ""))
    problems += [
        f"this channel has a {policy}, and sends a call more than once: leave it out"
        for policy in ("retryPolicy", "hedgingPolicy")
        if policy in config
    ]
    if problems:
        raise DefinitionError(problems)


def deadline(timeout: Duration = "30s") -> float:
    """Seconds for `stub.Method(request, timeout=…)`: what is left of the attempt; outside one, `timeout`.

    Raises:
        NotExecuted: the attempt's budget is spent.
    """
    return budget(parse(timeout).total_seconds())


def channel(
    target: str,
    *,
    timeout: Duration = "30s",
    credentials: grpc.ChannelCredentials | None = None,
    options: Sequence[tuple[str, Any]] = (),
) -> grpc.Channel:
    """A channel for `def` steps: no retries, and a deadline for every call.

    Args:
        target: such as "payments:443".
        timeout: of one call outside an attempt; inside one, what is left of the attempt.
        credentials: None for plain text.
        options: added to `channel_options`.
    """
    settings = [*channel_options(), *options]
    check_options(settings)
    if credentials is None:
        opened = grpc.insecure_channel(target, options=settings)
    else:
        opened = grpc.secure_channel(target, credentials, options=settings)
    return grpc.intercept_channel(opened, _Deadlines(timeout))


def aio_channel(
    target: str,
    *,
    timeout: Duration = "30s",
    credentials: grpc.ChannelCredentials | None = None,
    options: Sequence[tuple[str, Any]] = (),
) -> grpc.aio.Channel:
    """A channel for `async def` steps, made on the loop that uses it; see `channel`.

    Calls with one request and one reply get the deadline by themselves; others take `timeout=deadline()`.
    """
    settings = [*channel_options(), *options]
    check_options(settings)
    watch = [_AioDeadlines(timeout)]
    if credentials is None:
        return grpc.aio.insecure_channel(target, options=settings, interceptors=watch)
    return grpc.aio.secure_channel(target, credentials, options=settings, interceptors=watch)


def _in_time(details: Any, timeout: Duration) -> Any:
    seconds = deadline(timeout)
    return details._replace(timeout=seconds if details.timeout is None else min(seconds, details.timeout))


def _whole(reply: Any) -> None:
    """Grpc gives None, and no error, for a call that ended with OK and without a whole message."""
    if reply is None:
        raise Unknown("the server said OK and sent no whole message")


class _Deadlines(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Gives every call the attempt's deadline."""

    def __init__(self, timeout: Duration) -> None:
        self._timeout = timeout

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        call = continuation(_in_time(client_call_details, self._timeout), request)
        if call.exception() is None:
            _whole(call.result())
        return call

    def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return continuation(_in_time(client_call_details, self._timeout), request)

    def intercept_stream_unary(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        return continuation(_in_time(client_call_details, self._timeout), request_iterator)

    def intercept_stream_stream(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        return continuation(_in_time(client_call_details, self._timeout), request_iterator)


class _AioDeadlines(grpc.aio.UnaryUnaryClientInterceptor):
    """As `_Deadlines`, on a loop."""

    def __init__(self, timeout: Duration) -> None:
        self._timeout = timeout

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        call = await continuation(_in_time(client_call_details, self._timeout), request)
        _whole(await call)
        return call

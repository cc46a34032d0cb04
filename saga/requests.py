"""requests for `def` steps: `classify` says what an exception proves, `session` sends once.

Rules that hold here: what is not proven is unknown (S2); a session of ours sends one request a call, follows
no redirect, raises for one, and keeps the attempt's budget (S11); requests is imported in this module only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

try:
    import requests
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        "saga.requests needs requests: install the extra, `pip install 'saga-engine[requests]'`",
        name="requests",
    ) from missing

from requests.adapters import HTTPAdapter
from requests.auth import HTTPDigestAuth
from urllib3 import Retry

from saga import statuses, wire
from saga.budgets import Deadline, budget
from saga.core.durations import Duration, parse
from saga.errors import DefinitionError, NotExecuted, Refused
from saga.traces import came_through, said

_BEFORE_THE_SEND = (
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidHeader,
)

_REDIRECTION, _CLIENT_ERROR = 300, 400


def classify(error: BaseException) -> Refused | NotExecuted | None:
    """What `error` proves, for `Service(classify=…)`: a final no, that nothing happened, or None: unknown.

    Each proof carries its `rule`, such as "requests.ConnectTimeout" or "http 402". requests raises the same
    ConnectionError for a refused connection and for one that broke after the send: the chain is looked at.
    """
    if isinstance(error, requests.HTTPError):
        return None if error.response is None else _of_response(error.response)
    if came_through(error, "resolve_redirects", "handle_401"):
        return None  # there was an answer before: this is about another request
    if isinstance(error, _BEFORE_THE_SEND) or _never_sent(error):
        return NotExecuted(said(error), rule=f"requests.{type(error).__name__}")
    return None


def _never_sent(error: BaseException) -> bool:
    if isinstance(error, requests.exceptions.SSLError):
        return wire.handshake_failed(error)
    return isinstance(error, requests.ConnectionError) and wire.never_opened(error)


def _of_response(response: requests.Response) -> Refused | NotExecuted | None:
    if response.history:
        return None  # a redirect was followed: this is the answer to another request
    kind, after = response.headers.get("content-type", ""), response.headers.get("retry-after", "")
    # a streamed body was not read, and reading it now could block for ever
    read = bool(getattr(response, "_content_consumed", False))
    body = response.content if read else None
    return statuses.proof(statuses.Reply(response.status_code, kind, body, response.reason or "", after))


class SendOnce(HTTPAdapter):
    """One attempt, on a connection of its own, under the deadline."""

    def __init__(self) -> None:
        super().__init__(max_retries=Retry(0, redirect=0))

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:  # noqa: FBT001, FBT002 - requests' signature
        """As in requests, with connections that know the deadline."""
        options.setdefault("socket_options", wire.OPTIONS)
        super().init_poolmanager(connections, maxsize, block, **options)
        self.poolmanager.pool_classes_by_scheme = wire.POOLS


class Session(requests.Session):
    """A session for steps; make it with `session`."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__()
        self._timeout_s = timeout_s
        self.trust_env = False
        self.headers["Connection"] = "close"
        for scheme in ("http://", "https://"):
            self.mount(scheme, SendOnce())

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send once, and read the reply in full, within the attempt's budget; a redirect is raised.

        Raises:
            requests.ConnectTimeout: the deadline passed before a byte was sent.
            requests.ReadTimeout: it passed later. requests.HTTPError: the reply is a redirect.
            requests.exceptions.ChunkedEncodingError: nobody can tell whether the reply is whole.
            NotExecuted: no budget was left to begin with.
        """
        seconds = budget(self._timeout_s)
        options.update(allow_redirects=False, stream=False, timeout=seconds)
        with Deadline(seconds) as deadline:
            token = wire.deadline.set(deadline)
            try:
                response = super().send(request, **options)
            except requests.RequestException as error:
                if deadline.sent and deadline.over:
                    raise requests.ReadTimeout(
                        "the deadline passed after the request was sent", request=request
                    ) from error
                raise
            finally:
                wire.deadline.reset(token)
            if deadline.over:  # the socket was shut: what looks like a reply may be half of one
                raise requests.ReadTimeout("the deadline passed while the reply was read", request=request)
        flaw = wire.flaw(request.method or "", response.status_code, response.headers)
        if flaw is not None:
            raise requests.exceptions.ChunkedEncodingError(flaw, request=request, response=response)
        if _REDIRECTION <= response.status_code < _CLIENT_ERROR:  # raise_for_status would let it pass
            raise requests.HTTPError(f"{response.status_code}: a redirect, not followed", response=response)
        return response


def session(
    *, timeout: Duration = "30s", headers: Mapping[str, str] | None = None, auth: Any = None
) -> Session:
    """A session for `def` steps: no retries, no redirects, no proxies of the environment, a total deadline.

    Args:
        timeout: of one request outside an attempt; inside one, what is left of the attempt.
        headers: sent with every request.
        auth: as in requests; not HTTPDigestAuth, which sends twice.
    """
    made = Session(parse(timeout).total_seconds())
    made.headers.update(headers or {})
    made.auth = auth
    check_client(made)
    return made


def check_client(session: requests.Session) -> None:
    """See that a session of your own sends once and follows nothing; `session()` makes one that does.

    Raises:
        DefinitionError: with a sentence for each thing that is wrong.
    """
    problems: list[str] = []
    if not isinstance(session, Session) and session.max_redirects != 0:
        problems.append("this session follows redirects, and a 307 sends a POST again: max_redirects = 0")
    if isinstance(session.auth, HTTPDigestAuth):
        problems.append("this session logs in by HTTPDigestAuth, which sends the request twice: use a token")
    for prefix, adapter in session.adapters.items():
        if not isinstance(adapter, HTTPAdapter):
            problems.append(
                f"{type(adapter).__name__} ({prefix}) cannot be seen into: use requests' HTTPAdapter"
            )
        elif adapter.max_retries.total not in (0, False):
            problems.append(
                f"the adapter for {prefix} sends again on its own: HTTPAdapter(max_retries=Retry(0))"
            )
    if problems:
        raise DefinitionError(problems)

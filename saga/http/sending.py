"""What both clients of httpx share: options of a request, its address, and what the deadline raises.

Rule that holds here: the deadline's exception is of the kind that is a proof only when not a byte was
written; the budget and how a connection ends are those of `saga.budgets`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypedDict

import httpx

BaseUrl: TypeAlias = str | Callable[[], str]


class RequestOptions(TypedDict, total=False):
    """What a request may carry; the meaning is httpx's."""

    json: Any
    content: str | bytes
    data: Mapping[str, Any]
    files: Any
    params: Mapping[str, str | int | float | bool | None]
    headers: Mapping[str, str]
    cookies: dict[str, str]


def address(base: BaseUrl, url: str) -> str:
    """The whole URL. A relative `url` is appended to the base, which is read now."""
    if url.startswith(("http://", "https://")):
        return url
    root = base if isinstance(base, str) else base()
    return f"{root.rstrip('/')}/{url.lstrip('/')}" if url else root


def too_late(request: httpx.Request, *, sent: bool) -> httpx.TimeoutException:
    """The deadline's exception: of the kind that is a proof only when not a byte was written."""
    if sent:
        return httpx.ReadTimeout("the deadline passed after the request was sent", request=request)
    return httpx.ConnectTimeout("the deadline passed before a byte was sent", request=request)


def is_send(event: str) -> bool:
    """Whether httpcore's trace says that it is about to write the request."""
    return event.endswith("send_request_headers.started")


Headers: TypeAlias = Mapping[str, str] | Sequence[tuple[str, str]]

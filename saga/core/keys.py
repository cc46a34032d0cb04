"""Idempotency keys and hashes, derived and never drawn (S7, S8).

Rules that hold here: the same saga, step path and direction give the same key after a crash, a failover or a
second start; fields are framed by their length, so that no two lists of fields spell the same text.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from functools import lru_cache

from saga.core.model import Direction

KEY_VERSION = "1"
KEY_CHARACTERS = 36
"""The length of a key; the shortest limit of a provider that we know is 45 (Square)."""


def effect_key(
    secret: bytes, namespace: str, *, saga: str, business_key: str, step: str, direction: Direction
) -> str:
    """The key of one effect over all its attempts: 36 characters, within the limit of every provider."""
    framed = _of_saga(namespace, saga, business_key) + _frame(step) + _frame(direction.value)
    digest = hmac.digest(secret, framed, "sha256")[:20]
    return "sk1_" + base64.b32encode(digest).decode().lower()


def request_hash(service: str, step: str, arguments: str) -> str:
    """What a resend must equal (S8)."""
    return hashlib.sha256(b"".join(_frame(part) for part in (service, step, arguments))).hexdigest()[:32]


def last_good_hash(service: str, step: str, *, arguments: str, key: str | None) -> str:
    """Under what the last good value of a step is kept: by its arguments, or by a key instead of them."""
    # Arguments are a JSON object, a key is a JSON string: no key can be taken for arguments.
    return request_hash(service, step, arguments if key is None else json.dumps(key))


def input_hash(text: str) -> str:
    """What a second start under the same key must equal."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@lru_cache(maxsize=1024)
def _of_saga(namespace: str, saga: str, business_key: str) -> bytes:
    return b"".join(_frame(part) for part in (KEY_VERSION, namespace, saga, business_key))


def _frame(part: str) -> bytes:
    raw = part.encode()
    return len(raw).to_bytes(4, "big") + raw

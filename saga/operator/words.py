"""What a person says, as it may be kept: who they are, and why they act.

Rule: what says nothing, or cannot be stored, is refused before anything is done.
"""

from __future__ import annotations

from saga.errors import InputError, Unstorable


def plain(what: str, text: str) -> str:
    """A text that Postgres can hold, and that says something.

    Raises:
        InputError: it says nothing. Unstorable: it is no plain text.
    """
    if not text.strip():
        raise InputError(f"{what} must say something: it is kept in the audit")
    if "\x00" in text or text != text.encode("utf-8", "replace").decode():
        raise Unstorable(f"{what} holds characters that cannot be stored: write plain text")
    return text

"""How a failure is kept with its effect, and read again; and with it the last good value that took its place.

Rule that holds here: the value itself is kept, so that a replay gives the one that was used, whatever was kept since.
"""

from __future__ import annotations

import json
from typing import Any

from saga.core.model import EffectStatus, NotExecuted, Outcome, Refused, Succeeded
from saga.store.last_good import Kept
from saga.store.sagas import EffectRow


def text_of(outcome: Outcome | None, stand_in: Kept | None) -> str | None:
    """The JSON text of a failure, as its effect's row keeps it; None of what is none. stand_in: what took its place."""
    match outcome:
        case Refused(code, message, _):
            return json.dumps({"code": code, "message": message})
        case NotExecuted(reason, _, retry_after):
            error: dict[str, Any] = {"reason": reason, "retry_after": retry_after}
            if stand_in is not None:
                error["last_good"] = {"age": stand_in.age, "value": json.loads(stand_in.value)}
            return json.dumps(error)
        case _:
            return None


def stand_in_of(row: EffectRow) -> Kept | None:
    """The last good value that took the place of a failure, as it was used."""
    error: dict[str, Any] = json.loads(row.error) if row.error else {}
    kept: dict[str, Any] | None = error.get("last_good")
    return None if kept is None else Kept(json.dumps(kept["value"]), kept["age"])


def outcome_of(row: EffectRow) -> Outcome | None:
    """What an effect was settled as; None while it is not."""
    proof = row.proof or ""
    error: dict[str, Any] = json.loads(row.error) if row.error else {}
    match row.status:
        case EffectStatus.SUCCEEDED:
            return Succeeded(row.result if row.result is not None else "null", proof)
        case EffectStatus.REFUSED:
            return Refused(error.get("code", ""), error.get("message", ""), proof)
        case EffectStatus.NOT_EXECUTED:
            return NotExecuted(error.get("reason", ""), proof, error.get("retry_after"))
        case _:
            return None

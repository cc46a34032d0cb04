"""Whether a database keeps what it is told: settings and roles under which a commit may be lost, and its clock.

Rule: nothing is locked and nothing is written; a warning says what may happen and what to do.
"""

from __future__ import annotations

from datetime import UTC, datetime

from saga.store.connections import Connection
from saga.store.sql import Statement

OLDEST, NEWEST = 14, 18
"""The major versions of Postgres that are supported."""
SKEW_S = 2.0

FACTS = Statement(
    "health_facts",
    "Locks nothing. Never zero rows.",
    "SELECT current_setting('server_version_num')::int / 10000, current_setting('fsync'),"
    " current_setting('synchronous_commit'), current_setting('full_page_writes'), pg_is_in_recovery(), now()",
)


async def warnings(connection: Connection) -> list[str]:
    """What is wrong with this database, as sentences; none: all is well."""
    before = datetime.now(UTC)
    row = await (await connection.execute(FACTS.on("").encode())).fetchone()
    after = datetime.now(UTC)
    assert row is not None, "the statement always gives a row"
    version, fsync, synchronous, full_pages, replica, now = row
    found: list[str] = []
    if not OLDEST <= version <= NEWEST:
        found.append(f"Postgres {version} is not tested: use {OLDEST} to {NEWEST}")
    if fsync == "off":
        found.append("fsync is off: a crash of the machine loses what was committed; turn it on")
    if synchronous == "off":
        found.append(
            "synchronous_commit is off: a crash loses the last commits, and a charge may be sent twice; turn it on"
        )
    if full_pages == "off":
        found.append("full_page_writes is off: a crash may tear pages; turn it on")
    if replica:
        found.append("this is a replica, where nothing can be written: connect to the primary")
    skew = max((before - now).total_seconds(), (now - after).total_seconds(), 0.0)
    if skew > SKEW_S:
        found.append(f"the clocks of this machine and the database differ by {skew:.1f} s: synchronise them")
    return found

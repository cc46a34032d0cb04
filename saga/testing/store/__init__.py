"""A model of the store's Postgres in memory, below psycopg: production runs on it unchanged.

    timers = LoopTimers()                      # or a simulator's: `now()` and `later(seconds, callback)`
    database = Database(timers)                # one server with one schema; `database.offset = 5.0`: its clock jumps

    async def connect(conninfo: str):          # in place of `saga.store.connections.connect`
        return database.connect(wire)          # wire: yours (late, lossy, frozen), or None for a direct one

    connection = database.connect()            # duck-typed psycopg.AsyncConnection in autocommit
    connection.session.terminate()             # as pg_terminate_backend; None: as a crash, without a word
    connection.session.vanish()                # the client is gone: the running request ends first
    connection.session.fail_next("53100", on="commit")
    connection.lose()                          # only the client finds it broken
    database.fate = lambda session: Fate.UNCONFIRMED       # the replica is away: COMMIT with WARNING 01000
    database.failover(survive=lambda unconfirmed: 0)       # loses them; `crash()` loses nothing
    database.between = database.amid = lambda session: 0.0 # let others run between, and inside of, statements

Rules that hold here: a statement's model is a function that is found by the statement's text, and is refused by a test
when that text changes; READ COMMITTED, row locks, deadlocks and timeouts are as in Postgres, which one conformance
suite compares; there is no clock, no chance and no I/O of its own. Not modelled: savepoints, isolation levels beyond
READ COMMITTED, the listings of the command line, and lock modes other than the exclusive ones that the store uses.
"""

from saga.testing.store.connection import Connection
from saga.testing.store.database import EPOCH, Database, Fate
from saga.testing.store.messages import Notice, Notification, Refusal, Reply, Request
from saga.testing.store.registry import UnknownStatement
from saga.testing.store.session import Session
from saga.testing.store.timers import Cancel, LoopTimers, Timers
from saga.testing.store.wire import Direct, Wire

__all__ = [
    "EPOCH", "Cancel", "Connection", "Database", "Direct", "Fate", "LoopTimers", "Notice", "Notification", "Refusal",
    "Reply", "Request", "Session", "Timers", "UnknownStatement", "Wire",
]  # fmt: skip

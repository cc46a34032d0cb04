"""Every statement of a barrier, with what it locks.

Rules that hold here: a row is inserted before the work and final after it; nobody else sees the time between,
where work and row share a transaction. Lock order: the action's row, then the compensation's, then whatever
the business locks; so open the barrier first.
"""

from __future__ import annotations

from saga.store.sql import Statement

SAVE = Statement(
    "barrier_save",
    "Locks nothing. What an exception leaves inside the block is undone up to here.",
    "SAVEPOINT saga_barrier",
)
UNDO = Statement(
    "barrier_undo",
    "Lets go of what was locked since SAVE; whoever waits for the key goes on.",
    "ROLLBACK TO SAVEPOINT saga_barrier",
)
FREE = Statement(
    "barrier_free",
    "Locks nothing. An error when the transaction ended inside the block.",
    "RELEASE SAVEPOINT saga_barrier",
)
PATIENCE = Statement(
    "barrier_patience",
    "Locks nothing. Always one row: the limit as it was.",
    "SELECT current_setting('lock_timeout')",
)
BE_PATIENT = Statement(
    "barrier_be_patient",
    "Locks nothing, and holds until the transaction ends, or UNDO.",
    "SELECT set_config('lock_timeout', %(limit)s, true)",
)
INSERT = Statement(
    "barrier_insert",
    "Locks one key on one side; waits while another transaction holds it. Zero rows: the key is taken.",
    "INSERT INTO {s}.saga_barrier (key, side, name, state, request_hash)"
    " VALUES (%(key)s, %(side)s, %(name)s, %(state)s, %(request_hash)s)"
    " ON CONFLICT (key, side) DO NOTHING RETURNING key",
)
READ = Statement(
    "barrier_read",
    "Locks nothing. Zero rows: nobody committed that key on that side.",
    "SELECT state, request_hash, CAST(result AS text), CAST(reply AS text) FROM {s}.saga_barrier"
    " WHERE key = %(key)s AND side = %(side)s",
)
HOLD = Statement(
    "barrier_hold",
    "Keeps the row from being purged until the transaction ends. Zero rows: purged since it was found.",
    "SELECT state, request_hash, CAST(result AS text), CAST(reply AS text) FROM {s}.saga_barrier"
    " WHERE key = %(key)s AND side = %(side)s FOR KEY SHARE",
)
FINISH = Statement(
    "barrier_finish",
    "Locks the row, which is ours. Zero rows: it is not, or it is final already.",
    "UPDATE {s}.saga_barrier SET state = %(state)s, result = CAST(%(result)s AS json),"
    " reply = CAST(%(reply)s AS json)"
    " WHERE key = %(key)s AND side = %(side)s AND state = 'started' RETURNING key",
)
FORGET = Statement(
    "barrier_forget",
    "Locks the row, which is ours. Zero rows: it is not, or it is final already.",
    "DELETE FROM {s}.saga_barrier WHERE key = %(key)s AND side = %(side)s AND state = 'started' RETURNING key",
)
OLD = Statement(
    "barrier_old",
    "Locks the rows of old actions, no two purges the same, none that a compensation holds. One row: the keys.",
    "WITH old AS MATERIALIZED (SELECT key FROM {s}.saga_barrier WHERE side = 'action' AND state <> 'started'"
    " AND at < now() - make_interval(secs => CAST(%(age)s AS float8))"
    " ORDER BY at LIMIT CAST(%(most)s AS int) FOR UPDATE SKIP LOCKED)"
    " SELECT CAST(array_to_json(array_agg(key)) AS text) FROM old",
)
PURGE = Statement(
    "barrier_purge",
    "Locks both sides of keys that OLD has locked, unless a side is younger. One row: how many rows went.",
    "WITH gone AS (DELETE FROM {s}.saga_barrier b"
    " WHERE b.key IN (SELECT json_array_elements_text(CAST(%(keys)s AS json))) AND NOT EXISTS"
    " (SELECT 1 FROM {s}.saga_barrier c WHERE c.key = b.key AND (c.state = 'started'"
    " OR c.at >= now() - make_interval(secs => CAST(%(age)s AS float8))))"
    " RETURNING 1) SELECT count(*) FROM gone",
)

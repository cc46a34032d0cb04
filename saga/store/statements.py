"""The hot statements: fence, locks, effects, sagas, evidence, claims.

Rules that hold here: lock order is worker, sagas by id, effects, the rest; only `now()` or parameters in
INSERT and UPDATE; every write of a saga or an effect joins the saga on owner, lane and epoch.
"""

from __future__ import annotations

from saga.store.sql import Statement

LIMITS = Statement(
    "limits",
    "Locks nothing. A frozen client must not hold the reaper: three are under a third of the lease. None of them"
    " counts while the server waits for the next message of a pipeline, so the whole transaction ends before the"
    " lease does, where the server knows how (PostgreSQL 17); on an older one a worker that is frozen there holds"
    " its row until its connection breaks. A bitmap scan reads every dead entry of an index again and again, and never"
    " marks one: after a crash, when nobody knows any statistics and nothing is vacuumed, claims took a hundred times as long.",
    "SELECT set_config('statement_timeout', %(ms)s, true), set_config('lock_timeout', %(ms)s, true),"
    " set_config('idle_in_transaction_session_timeout', %(ms)s, true),"
    " CASE WHEN current_setting('server_version_num')::int >= 170000"
    " THEN set_config('transaction_timeout', (%(ms)s::int * 3)::text, true) END,"
    " set_config('enable_bitmapscan', 'off', true)",
)

FENCE = Statement(
    "fence",
    "Locks this lane's worker row. Zero rows cannot be: a missing row, or one that already holds this batch,"
    " is a division by zero, because an empty result would let the pipeline write on. The `now` is the batch's.",
    "SELECT now(), 1/(SELECT count(*) FROM (SELECT 1 FROM {s}.worker WHERE id = %(me)s AND lane = %(lane)s"
    " AND batch < %(batch)s FOR NO KEY UPDATE) f)",
)

BEAT = Statement(
    "beat",
    "Updates the worker row that the fence locked, HOT. Never zero rows behind the fence. The batch's number"
    " makes a batch whose COMMIT lost its reply recognisable (S6).",
    "UPDATE {s}.worker SET beat = now(), batch = %(batch)s, state = %(state)s"
    " WHERE id = %(me)s AND lane = %(lane)s",
)

LAST_BATCH = Statement(
    "last_batch",
    "Locks this lane's worker row and so waits for a batch that is still committing (S6). Zero rows: dead.",
    "SELECT batch, now() FROM {s}.worker WHERE id = %(me)s AND lane = %(lane)s FOR NO KEY UPDATE",
)

LOCK_SAGAS = Statement(
    "lock_sagas",
    "Locks the batch's sagas in the order of their ids: unsorted updates deadlocked. A missing row: gone.",
    "SELECT id, owner = %(me)s AND lane = %(lane)s, epoch, inbox, cancel_requested, direction"
    " FROM {s}.saga WHERE id = ANY(%(ids)s) ORDER BY id FOR NO KEY UPDATE",
)

OUTCOMES = Statement(
    "outcomes",
    "Updates effects of sagas that this batch has locked. A row that does not come back: the claim is lost.",
    "UPDATE {s}.effect e SET status = u.status, result = u.result::json, error = u.error::json,"
    " proof = u.proof, by_statement = u.by_statement, completion = u.completion, probes = u.probes,"
    " doubt_since = CASE WHEN u.in_doubt THEN coalesce(e.doubt_since, now()) END,"
    " ended_at = CASE WHEN u.ended THEN now() ELSE e.ended_at END"
    " FROM unnest(%(saga)s::uuid[], %(epoch)s::bigint[], %(step)s::text[], %(direction)s::text[],"
    " %(attempt)s::int[], %(status)s::text[], %(result)s::text[], %(error)s::text[], %(proof)s::text[],"
    " %(by_statement)s::bool[], %(completion)s::int[], %(probes)s::int[], %(in_doubt)s::bool[], %(ended)s::bool[])"
    " AS u(saga_id, epoch, step, direction, attempt, status, result, error, proof, by_statement, completion,"
    " probes, in_doubt, ended)"
    " JOIN {s}.saga s ON s.id = u.saga_id AND s.owner = %(me)s AND s.lane = %(lane)s AND s.epoch = u.epoch"
    " WHERE e.saga_id = u.saga_id AND e.step = u.step AND e.direction = u.direction AND e.attempt = u.attempt"
    " RETURNING e.saga_id, e.step, e.direction",
)

_INTENT_ROWS = (
    " FROM unnest(%(saga)s::uuid[], %(epoch)s::bigint[], %(step)s::text[], %(direction)s::text[],"
    " %(attempt)s::int[], %(intent_id)s::uuid[], %(position)s::int[], %(name)s::text[], %(service)s::text[],"
    " %(key)s::text[], %(request_hash)s::text[], %(arguments)s::text[], %(timeout)s::float8[],"
    " %(key_lifetime)s::float8[])"
    " AS u(saga_id, epoch, step, direction, attempt, intent_id, position, name, service, key, request_hash,"
    " arguments, timeout, key_lifetime)"
    " JOIN {s}.saga s ON s.id = u.saga_id AND s.owner = %(me)s AND s.lane = %(lane)s AND s.epoch = u.epoch"
    " AND (s.direction = u.direction OR (u.direction = 'backward' AND s.amendment IS NOT NULL))"
    " AND (u.direction = 'backward' OR NOT s.cancel_requested)"
)

FIRST_INTENTS = Statement(
    "first_intents",
    "Inserts into effects of sagas that this batch has locked. A row that does not come back: the claim is"
    " lost, or the saga turned, or a cancel was asked for (S32); its call is not made.",
    "INSERT INTO {s}.effect (saga_id, step, direction, position, name, service, key, request_hash, arguments,"
    " status, attempt, intent_id, worker, first_intent_at, intent_at, deadline_at, key_expires_at)"
    " SELECT u.saga_id, u.step, u.direction, u.position, u.name, u.service, u.key, u.request_hash,"
    " u.arguments::json, 'sent', 1, u.intent_id, %(me)s, now(), now(),"
    " now() + make_interval(secs => u.timeout), now() + make_interval(secs => u.key_lifetime)"
    + _INTENT_ROWS
    + " ON CONFLICT (saga_id, step, direction) DO NOTHING RETURNING saga_id, step, direction",
)

NEXT_INTENTS = Statement(
    "next_intents",
    "Updates effects of sagas that this batch has locked; compare-and-set on the attempt before and on the"
    " request's hash (S8). A row that does not come back: as in first_intents. The latest deadline stays.",
    "UPDATE {s}.effect e SET status = 'sent', attempt = u.attempt, intent_id = u.intent_id, worker = %(me)s,"
    " intent_at = now(), ended_at = NULL, result = NULL, error = NULL, proof = NULL,"
    " deadline_at = greatest(e.deadline_at, now() + make_interval(secs => u.timeout))"
    + _INTENT_ROWS
    + " WHERE e.saga_id = u.saga_id AND e.step = u.step AND e.direction = u.direction"
    " AND e.attempt = u.attempt - 1 AND e.request_hash = u.request_hash"
    " RETURNING e.saga_id, e.step, e.direction",
)

SAGAS = Statement(
    "sagas",
    "Updates sagas that this batch has locked. A row that does not come back: the claim is lost, or the inbox"
    " moved while the saga was about to rest (no lost wake-up).",
    "UPDATE {s}.saga s SET status = u.status, direction = u.direction,"
    " owner = CASE WHEN u.status = 'running' THEN s.owner END,"
    " lane = CASE WHEN u.status = 'running' THEN s.lane END,"
    " wake_at = coalesce(u.wake_at, s.wake_at), waiting_for = u.waiting_for,"
    " output = coalesce(u.output::json, s.output), error = coalesce(u.error::json, s.error),"
    " degraded = coalesce(u.degraded::json, s.degraded), plan = coalesce(s.plan, u.plan::json),"
    " park_cause = u.park_cause, park_reason = u.park_reason, park_detail = u.park_detail::json,"
    " alarm = CASE WHEN u.calm THEN NULL ELSE coalesce(u.alarm, s.alarm) END,"
    " amendment = CASE WHEN u.status IN ('completed', 'compensated') THEN NULL"
    " ELSE coalesce(u.amendment::json, s.amendment) END,"
    " cancel_requested = s.cancel_requested AND NOT u.past_pivot,"
    " deadline_at = CASE WHEN u.past_pivot THEN NULL ELSE s.deadline_at END,"
    " revision = s.revision + CASE WHEN u.status IN ('asleep', 'ready') THEN 0 ELSE 1 END,"
    " last_write = u.write_id, updated_at = now(),"
    " finished_at = CASE WHEN u.status IN ('completed', 'compensated') THEN now() END"
    " FROM unnest(%(saga)s::uuid[], %(epoch)s::bigint[], %(write_id)s::uuid[], %(seen)s::bigint[],"
    " %(status)s::text[], %(direction)s::text[], %(wake_at)s::timestamptz[], %(waiting_for)s::text[],"
    " %(output)s::text[], %(error)s::text[], %(degraded)s::text[], %(plan)s::text[], %(park_cause)s::text[],"
    " %(park_reason)s::text[], %(park_detail)s::text[], %(alarm)s::text[], %(amendment)s::text[],"
    " %(calm)s::bool[], %(past_pivot)s::bool[])"
    " AS u(saga_id, epoch, write_id, seen, status, direction, wake_at, waiting_for, output, error, degraded,"
    " plan, park_cause, park_reason, park_detail, alarm, amendment, calm, past_pivot)"
    " WHERE s.id = u.saga_id AND s.owner = %(me)s AND s.lane = %(lane)s AND s.epoch = u.epoch"
    " AND (u.seen IS NULL OR s.inbox = u.seen)"
    " RETURNING s.id",
)

EVIDENCE = Statement(
    "evidence",
    "Inserts; needs no fence and no claim: an observation is true whoever made it (S25, S33). Zero rows:"
    " it was there already.",
    "INSERT INTO {s}.evidence (id, saga_id, step, direction, attempt, kind, worker, body)"
    " SELECT u.id, u.saga_id, u.step, u.direction, u.attempt, u.kind, %(me)s, u.body::json"
    " FROM unnest(%(id)s::uuid[], %(saga)s::uuid[], %(step)s::text[], %(direction)s::text[], %(attempt)s::int[],"
    " %(kind)s::text[], %(body)s::text[]) AS u(id, saga_id, step, direction, attempt, kind, body)"
    " ON CONFLICT (id) DO NOTHING",
)

WATCHES = Statement(
    "watches",
    "Inserts late watches of sagas that this batch has locked. Zero rows: they are watched already.",
    "INSERT INTO {s}.watch (saga_id, step, direction, next_at, until)"
    " SELECT u.saga_id, u.step, u.direction, now() + make_interval(secs => least(10, u.seconds)),"
    " now() + make_interval(secs => u.seconds)"
    " FROM unnest(%(saga)s::uuid[], %(epoch)s::bigint[], %(step)s::text[], %(direction)s::text[],"
    " %(seconds)s::float8[]) AS u(saga_id, epoch, step, direction, seconds)"
    " JOIN {s}.saga s ON s.id = u.saga_id AND s.owner = %(me)s AND s.lane = %(lane)s AND s.epoch = u.epoch"
    " ON CONFLICT (saga_id, step, direction) DO NOTHING",
)

_SAGA_COLUMNS = (
    "id, name, version, key, epoch, inbox, direction, input, degraded, error, plan, deadline_at,"
    " cancel_requested, status, amendment"
)

CLAIM = Statement(
    "claim",
    "Locks ready sagas that nobody else locks, and never waits. Zero rows: nothing is due. MATERIALIZED,"
    " because the planner may run the subquery again and claim more than its LIMIT. `name || ''`, because without statistics"
    " the planner takes the index on names and reads all that has ever ended.",
    "WITH c AS MATERIALIZED (SELECT id FROM {s}.saga WHERE status = 'ready' AND wake_at <= now()"
    " AND (name || '', version) IN (SELECT * FROM unnest(%(names)s::text[], %(versions)s::int[]))"
    " ORDER BY wake_at LIMIT %(room)s FOR NO KEY UPDATE SKIP LOCKED)"
    " UPDATE {s}.saga s SET status = 'running', owner = %(me)s, lane = %(lane)s, epoch = s.epoch + 1,"
    " waiting_for = NULL, updated_at = now() FROM c WHERE s.id = c.id"
    " RETURNING " + ", ".join(f"s.{c.strip()}" for c in _SAGA_COLUMNS.split(",")),
)

MINE = Statement(
    "mine",
    "Locks nothing. The sagas that a claim whose reply was lost has given to this lane. Zero rows: it owns none.",
    f"SELECT {_SAGA_COLUMNS} FROM {{s}}.saga WHERE owner = %(me)s AND lane = %(lane)s",
)

RELOAD = Statement(
    "reload",
    "Locks nothing. Zero rows: the saga is not this lane's any more.",
    f"SELECT {_SAGA_COLUMNS} FROM {{s}}.saga WHERE id = %(id)s AND owner = %(me)s AND lane = %(lane)s"
    " AND epoch = %(epoch)s",
)

EFFECTS_OF = Statement(
    "effects_of",
    "Locks nothing. Zero rows: nothing was sent yet.",
    "SELECT saga_id, step, direction, position, name, service, key, request_hash, arguments, status, attempt,"
    " first_intent_at, intent_at, deadline_at, key_expires_at, ended_at, result, error, proof, by_statement,"
    " completion, doubt_since, probes FROM {s}.effect WHERE saga_id = ANY(%(ids)s) ORDER BY position",
)

EVIDENCE_OF = Statement(
    "evidence_of",
    "Locks nothing. Zero rows: the happy path keeps none.",
    "SELECT saga_id, step, direction, attempt, kind, body FROM {s}.evidence WHERE saga_id = ANY(%(ids)s)"
    " ORDER BY at, id",
)

SAGA_STATES = Statement(
    "saga_states",
    "Locks nothing. After a batch is known to be committed: what it left (S6). A missing row: gone.",
    "SELECT id, owner = %(me)s AND lane = %(lane)s, epoch, inbox, cancel_requested, last_write"
    " FROM {s}.saga WHERE id = ANY(%(ids)s)",
)

INTENTS_THERE = Statement(
    "intents_there",
    "Locks nothing. After a batch is known to be committed (S6). A missing row: that intent was refused (S32).",
    "SELECT saga_id, step, direction FROM {s}.effect WHERE intent_id = ANY(%(intents)s)",
)

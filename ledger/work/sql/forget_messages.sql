-- Remove messages, and uses, of queues that are no more, so many messages at a time.
--   $1 org text    $2 limit integer
-- Returns a row for each message that was removed.
WITH live AS MATERIALIZED (
  SELECT id
    FROM queue
   WHERE org = $1::text AND deleted_at IS NULL
     AND gen = (SELECT (projections -> 'queues' ->> 'gen')::integer FROM ledger_head WHERE org = $1::text)
), uses AS (
  DELETE FROM queue_use WHERE org = $1::text AND queue_id NOT IN (SELECT id FROM live)
), consumers AS (
  DELETE FROM consumer WHERE org = $1::text AND queue_id NOT IN (SELECT id FROM live)
)
DELETE FROM message
 WHERE ctid = ANY (ARRAY(SELECT ctid FROM message WHERE org = $1::text AND queue_id NOT IN (SELECT id FROM live) LIMIT $2::integer))
RETURNING 1;

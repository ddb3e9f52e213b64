-- Queues that nobody has used for as long as they are kept.
--   $1 org text    $2 limit integer
-- Returns id.
SELECT q.id
  FROM queue AS q
  LEFT JOIN queue_use AS u ON u.org = q.org AND u.queue_id = q.id
 WHERE q.org = (SELECT $1::text)
   AND q.gen = (SELECT (projections -> 'queues' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
   AND q.deleted_at IS NULL
   AND greatest(q.created_at, u.used_at) < clock_timestamp() - CASE WHEN q.durable THEN interval '720 hours' ELSE interval '24 hours' END
 LIMIT $2::integer;

-- The queue of a name that somebody uses: its own, or, for who manages them, the oldest.
--   $1 org text    $2 name text    $3 principal text    $4 whether that one manages all boolean
-- Returns id, name, owner, durable, and whether nobody has used it for as long as it is kept (24 hours, durable: 30 days).
SELECT q.id, q.name, q.owner, q.durable,
       greatest(q.created_at, u.used_at) < clock_timestamp() - CASE WHEN q.durable THEN interval '720 hours' ELSE interval '24 hours' END
       AS is_unused
  FROM queue AS q
  LEFT JOIN queue_use AS u ON u.org = q.org AND u.queue_id = q.id
 WHERE q.org = (SELECT $1::text)
   AND q.gen = (SELECT (projections -> 'queues' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
   AND q.name = $2::text
   AND q.deleted_at IS NULL
   AND ($4::boolean OR q.owner = $3::text)
 ORDER BY q.owner <> $3::text, q.id
 LIMIT 1;

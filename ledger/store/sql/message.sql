-- Messages put into queues that are there.
--   $1 org text    $2 queue ids integer[]    $3 ids bigint[]    $4 put_at timestamptz[]    $5 bodies text[]
INSERT INTO message (org, queue_id, id, put_at, body)
SELECT $1::text, p.queue_id, p.id, p.put_at, p.body
  FROM unnest($2::integer[], $3::bigint[], $4::timestamptz[], $5::text[]) AS p (queue_id, id, put_at, body)
  JOIN queue AS q
    ON q.org = $1::text
   AND q.gen = (SELECT (projections -> 'queues' ->> 'gen')::integer FROM ledger_head WHERE org = $1::text)
   AND q.id = p.queue_id
   AND q.deleted_at IS NULL;

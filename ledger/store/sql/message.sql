-- Messages put into queues that are there, in their order.
--   $1 org text    $2 queue ids integer[]    $3 put_at timestamptz[]    $4 bodies text[]
INSERT INTO message (org, queue_id, id, put_at, body)
SELECT $1::text, p.queue_id, nextval('message_id'), p.put_at, p.body
  FROM (SELECT u.queue_id, u.put_at, u.body
          FROM unnest($2::integer[], $3::timestamptz[], $4::text[]) WITH ORDINALITY AS u (queue_id, put_at, body, place)
          JOIN queue AS q
            ON q.org = $1::text
           AND q.gen = (SELECT (projections -> 'queues' ->> 'gen')::integer FROM ledger_head WHERE org = $1::text)
           AND q.id = u.queue_id
           AND q.deleted_at IS NULL
         ORDER BY u.place) AS p;

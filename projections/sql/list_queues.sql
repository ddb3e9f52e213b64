-- Queues of an org that are found, by id: those of an owner, or all.
--   $1 org text    $2 after what id bigint    $3 at most integer    $4 owner text or null    $5 id integer or null
-- Returns id, name, owner, durable, created_at, used_at, the later of when it was made and used last; dropped_at, when it is dropped
-- unless it is used before; messages, how many are in it; held, how many of these were given out and not acknowledged;
-- consumers, how many were used within 300 seconds.
SELECT q.id, q.name, q.owner, q.durable, q.created_at, q.used_at, q.used_at + q.kept AS dropped_at, m.messages, m.held, c.consumers
  FROM (SELECT i.id, i.name, i.owner, i.durable, i.created_at, greatest(i.created_at, u.used_at) AS used_at,
               CASE WHEN i.durable THEN interval '720 hours' ELSE interval '24 hours' END AS kept
          FROM queue AS i
          LEFT JOIN queue_use AS u ON u.org = i.org AND u.queue_id = i.id
         WHERE i.org = (SELECT $1::text)
           AND i.gen = (SELECT (projections -> 'queues' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
           AND i.deleted_at IS NULL
           AND i.id > $2::bigint
           AND ($4::text IS NULL OR i.owner = $4::text)
           AND ($5::integer IS NULL OR i.id = $5::integer)) AS q
  CROSS JOIN LATERAL (SELECT count(*) AS messages, count(consumer) AS held
                        FROM message
                       WHERE org = (SELECT $1::text) AND queue_id = q.id) AS m
  CROSS JOIN LATERAL (SELECT count(*) AS consumers
                        FROM consumer
                       WHERE org = (SELECT $1::text) AND queue_id = q.id
                         AND used_at >= clock_timestamp() - interval '300 seconds') AS c
 WHERE q.used_at >= clock_timestamp() - q.kept
 ORDER BY q.id
 LIMIT $3::integer;

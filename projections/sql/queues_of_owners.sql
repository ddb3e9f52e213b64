-- The queues that some principals have, and when each was last used.
--   $1 org text    $2 gen integer    $3 owners text[]
-- Returns subject, the owner; id, used_at.
SELECT q.owner AS subject, q.id, u.used_at
  FROM queue AS q
  LEFT JOIN queue_use AS u ON u.org = q.org AND u.queue_id = q.id
 WHERE q.org = (SELECT $1::text) AND q.gen = $2::integer AND q.owner = ANY ($3::text[]) AND q.deleted_at IS NULL
 ORDER BY q.id;

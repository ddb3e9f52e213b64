-- When some queues were last used; those that never were are left out.
--   $1 org text    $2 ids integer[]
-- Returns subject, id, used_at.
SELECT queue_id AS subject, queue_id AS id, used_at
  FROM queue_use
 WHERE org = (SELECT $1::text) AND queue_id = ANY ($2::integer[]);

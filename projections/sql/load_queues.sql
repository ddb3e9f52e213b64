-- Queues as their rows have them.
--   $1 org text    $2 gen integer    $3 ids integer[]
-- Returns id, version, name, owner, durable, created_at, deleted_at.
SELECT id, version, name, owner, durable, created_at, deleted_at
  FROM queue
 WHERE org = (SELECT $1::text) AND gen = $2::integer AND id = ANY ($3::integer[]);

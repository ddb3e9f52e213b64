-- Drop the consumers of a queue that nobody has used for 300 seconds; what they held is to be had again.
--   $1 org text    $2 queue id integer
WITH idle AS (
  DELETE FROM consumer
   WHERE org = $1::text AND queue_id = $2::integer AND used_at < clock_timestamp() - interval '300 seconds'
  RETURNING id, held
)
UPDATE message AS m SET consumer = NULL
  FROM idle
 WHERE m.org = $1::text AND m.queue_id = $2::integer AND m.id = idle.held AND m.consumer = idle.id;

-- Drop a consumer.
--   $1 org text    $2 queue id integer    $3 id uuid
-- Returns auto_acknowledge, held; no row where there is none.
DELETE FROM consumer
 WHERE org = $1::text AND queue_id = $2::integer AND id = $3::uuid
RETURNING auto_acknowledge, held;

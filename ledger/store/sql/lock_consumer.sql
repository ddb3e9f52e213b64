-- A consumer, in use from now on.
--   $1 org text    $2 queue id integer    $3 id uuid
-- Returns auto_acknowledge, position, previous, held.
UPDATE consumer SET used_at = clock_timestamp()
 WHERE org = $1::text AND queue_id = $2::integer AND id = $3::uuid
RETURNING auto_acknowledge, position, previous, held;

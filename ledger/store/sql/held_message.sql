-- A message that a consumer was given.
--   $1 org text    $2 queue id integer    $3 id bigint    $4 consumer uuid
-- Returns id, body.
SELECT id, body FROM message
 WHERE org = $1::text AND queue_id = $2::integer AND id = $3::bigint AND consumer = $4::uuid;

-- How far a consumer has come.
--   $1 org text    $2 queue id integer    $3 id uuid    $4 position bigint    $5 previous bigint    $6 held bigint
UPDATE consumer SET position = $4::bigint, previous = $5::bigint, held = $6::bigint
 WHERE org = $1::text AND queue_id = $2::integer AND id = $3::uuid;

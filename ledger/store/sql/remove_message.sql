-- Remove a message that was taken; *consumer* null: one that nobody has.
--   $1 org text    $2 queue id integer    $3 id bigint    $4 consumer uuid
DELETE FROM message
 WHERE org = $1::text AND queue_id = $2::integer AND id = $3::bigint AND consumer IS NOT DISTINCT FROM $4::uuid;

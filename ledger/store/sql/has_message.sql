-- Whether a message is in a queue, also one that a consumer was given.
--   $1 org text    $2 queue id integer    $3 id bigint
-- Returns true or false.
SELECT EXISTS (SELECT FROM message WHERE org = $1::text AND queue_id = $2::integer AND id = $3::bigint) AS is_there;

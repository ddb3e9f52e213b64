-- Give the first message of a queue that nobody has to a consumer.
--   $1 org text    $2 queue id integer    $3 consumer uuid
-- Returns id, body; no row where there is none.
UPDATE message SET consumer = $3::uuid
 WHERE org = $1::text AND queue_id = $2::integer
   AND id = (SELECT id FROM message
              WHERE org = $1::text AND queue_id = $2::integer AND consumer IS NULL
              ORDER BY id
              LIMIT 1
                FOR UPDATE SKIP LOCKED)
RETURNING id, body;

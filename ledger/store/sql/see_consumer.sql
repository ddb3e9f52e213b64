-- A consumer that is used.
--   $1 org text    $2 queue id integer    $3 id uuid
-- Returns auto_acknowledge, position, held.
SELECT auto_acknowledge, position, held
  FROM consumer
 WHERE org = (SELECT $1::text) AND queue_id = $2::integer AND id = $3::uuid
   AND used_at >= clock_timestamp() - interval '300 seconds';

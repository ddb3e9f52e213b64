-- A new consumer of a queue, or one that was dropped, which goes on behind the message that it was given last.
--   $1 org text    $2 queue id integer    $3 id uuid    $4 whether taking the next acknowledges boolean    $5 position bigint
--   $6 how many a queue may have integer
-- Returns its row; none where the queue has as many.
INSERT INTO consumer (org, queue_id, id, auto_acknowledge, position, used_at)
SELECT $1::text, $2::integer, $3::uuid, $4::boolean, $5::bigint, clock_timestamp()
 WHERE (SELECT count(*) FROM consumer WHERE org = $1::text AND queue_id = $2::integer) < $6::integer
RETURNING auto_acknowledge, position, previous, held;

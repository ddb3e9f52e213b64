-- Note that a queue is used, at most once a minute.
--   $1 org text    $2 queue id integer
INSERT INTO queue_use AS u (org, queue_id, used_at)
VALUES ($1::text, $2::integer, clock_timestamp())
    ON CONFLICT (org, queue_id)
    DO UPDATE SET used_at = EXCLUDED.used_at
 WHERE u.used_at < EXCLUDED.used_at - interval '1 minute';

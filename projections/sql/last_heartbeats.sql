-- The last signs of life of jobs that were no events.
--   $1 org text    $2 job ids integer[]
-- Returns job_id, beat_at.
SELECT job_id, beat_at
  FROM heartbeat
 WHERE org = $1::text AND job_id = ANY ($2::integer[]);

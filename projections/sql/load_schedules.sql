-- Schedules as their rows have them.
--   $1 org text    $2 gen integer    $3 ids uuid[]
-- Returns id, version, number, expression, action, created_by, created_at, since, next_at, paused_at, deleted_at, last_due_at,
-- last_executed_at, last_job_id, fires, missed.
SELECT id, version, number, expression, action, created_by, created_at, since, next_at, paused_at, deleted_at, last_due_at,
       last_executed_at, last_job_id, fires, missed
  FROM schedule
 WHERE org = (SELECT $1::text) AND gen = $2::integer AND id = ANY ($3::uuid[]);

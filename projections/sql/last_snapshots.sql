-- The last snapshot of some jobs.
--   $1 org text    $2 gen integer    $3 ids integer[]
-- Returns id, version, has_private, job.
SELECT u.id, s.version, s.has_private, s.job
  FROM unnest($3::integer[]) AS u (id)
 CROSS JOIN LATERAL (
       SELECT version, has_private, job
         FROM job_snapshot
        WHERE org = (SELECT $1::text) AND gen = $2::integer AND id = u.id
        ORDER BY version DESC
        LIMIT 1) AS s;

-- The scheduled jobs behind some jobs, behind those, and so on; nearest first, each once.
--   $1 org text    $2 gen integer    $3 job ids integer[]
-- Returns root (one of $3), id, preceding_job_id.
-- LATERAL with OFFSET 0 keeps the order: one lookup for each, also where the planner knows nothing yet of the table.
WITH RECURSIVE behind (root, id, preceding_job_id, depth) AS (
  SELECT j.preceding_job_id, j.id, j.preceding_job_id, 1
    FROM job AS j
   WHERE j.org = $1::text AND j.gen = $2::integer AND j.preceding_job_id = ANY ($3::integer[]) AND j.state = 'SCHEDULED'
  UNION ALL
  SELECT b.root, j.id, j.preceding_job_id, b.depth + 1
    FROM behind AS b
   CROSS JOIN LATERAL (
         SELECT id, preceding_job_id
           FROM job
          WHERE org = $1::text AND gen = $2::integer AND preceding_job_id = b.id AND state = 'SCHEDULED'
         OFFSET 0) AS j
)
SELECT root, id, preceding_job_id
  FROM behind
 ORDER BY depth, id;

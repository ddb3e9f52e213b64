-- The scheduled jobs behind some jobs, behind those, and so on; nearest first, each once.
--   $1 org text    $2 gen integer    $3 job ids integer[]
-- Returns root (one of $3), id, preceding_job_id.
-- LATERAL with OFFSET 0 keeps the order: one lookup for each by what it follows, and only then by its state, also where the
-- planner knows nothing yet of the table.
WITH RECURSIVE behind (root, id, preceding_job_id, depth) AS (
  SELECT asked.id, j.id, j.preceding_job_id, 1
    FROM unnest($3::integer[]) AS asked (id)
   CROSS JOIN LATERAL (
         SELECT id, preceding_job_id, state
           FROM job
          WHERE org = $1::text AND gen = $2::integer AND preceding_job_id = asked.id
         OFFSET 0) AS j
   WHERE j.state = 'SCHEDULED'
  UNION ALL
  SELECT b.root, j.id, j.preceding_job_id, b.depth + 1
    FROM behind AS b
   CROSS JOIN LATERAL (
         SELECT id, preceding_job_id, state
           FROM job
          WHERE org = $1::text AND gen = $2::integer AND preceding_job_id = b.id
         OFFSET 0) AS j
   WHERE j.state = 'SCHEDULED'
)
SELECT root, id, preceding_job_id
  FROM behind
 ORDER BY depth, id;

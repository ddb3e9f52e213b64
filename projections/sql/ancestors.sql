-- The parents of some jobs, their parents, and so on, as far as they are there: each once, so that it ends in a circle too.
--   $1 org text    $2 gen integer    $3 job ids integer[]
-- Returns root (one of $3), id.
WITH RECURSIVE above (root, id) AS (
  SELECT asked.id, asked.id
    FROM unnest($3::integer[]) AS asked (id)
  UNION
  SELECT a.root, j.parent_id
    FROM above AS a
   CROSS JOIN LATERAL (
         SELECT (decisions::json -> 'details' ->> 'parent_job_id')::integer AS parent_id
           FROM job
          WHERE org = $1::text AND gen = $2::integer AND id = a.id AND decisions IS NOT NULL
         OFFSET 0) AS j
   WHERE j.parent_id IS NOT NULL
)
SELECT root, id
  FROM above
 WHERE id <> root;

-- The jobs that some holds list.
--   $1 org text    $2 gen integer    $3 ids integer[]
-- Returns id, job_ids.
SELECT id, job_ids
  FROM hold
 WHERE org = (SELECT $1::text) AND gen = $2::integer AND id = ANY ($3::integer[]) AND job_ids IS NOT NULL;

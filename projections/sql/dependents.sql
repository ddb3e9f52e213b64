-- Who requires some jobs, and who requires those, and so on: every requirement among them, each once.
--   $1 org text    $2 gen integer    $3 copy id integer    $4 job ids integer[]
-- Returns required_id, job_id, and the job's domain where it is on the copy, or is to be copied there, and was not deleted.
-- LATERAL with OFFSET 0 keeps the order: one lookup for each job, also where the planner knows nothing yet of the tables.
WITH RECURSIVE reached (id) AS (
  SELECT id FROM unnest($4::integer[]) AS asked (id)
  UNION
  SELECT r.job_id
    FROM reached
   CROSS JOIN LATERAL (
         SELECT job_id
           FROM job_requirement
          WHERE org = $1::text AND gen = $2::integer AND required_id = reached.id
         OFFSET 0) AS r
)
SELECT r.required_id, r.job_id, c.domain
  FROM reached
 CROSS JOIN LATERAL (
       SELECT required_id, job_id
         FROM job_requirement
        WHERE org = $1::text AND gen = $2::integer AND required_id = reached.id
       OFFSET 0) AS r
  LEFT JOIN LATERAL (
       SELECT domain, state, is_deleted
         FROM job_copy
        WHERE org = $1::text AND gen = $2::integer AND copy_id = $3::integer AND job_id = r.job_id
       OFFSET 0) AS c
    ON NOT c.is_deleted AND c.state <> 'not_to_be_copied';

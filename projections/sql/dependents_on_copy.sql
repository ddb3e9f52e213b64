-- The jobs on a copy that require some jobs, directly or not, as dependents finds them.
--   $1 org text    $2 copy id integer    $3 job ids integer[]    $4 domains text[] or null for all
-- Returns id, is_deleted.
WITH RECURSIVE live AS MATERIALIZED (
  SELECT (projections -> 'job_copies' ->> 'gen')::integer AS gen FROM ledger_head WHERE org = (SELECT $1::text)
), reached (id, is_asked) AS (
  SELECT id, true FROM unnest($3::integer[]) AS asked (id)
  UNION
  SELECT r.job_id, false
    FROM reached
   CROSS JOIN LATERAL (
         SELECT job_id
           FROM job_requirement
          WHERE org = (SELECT $1::text) AND gen = (SELECT gen FROM live) AND required_id = reached.id
         OFFSET 0) AS r
)
SELECT reached.id, c.is_deleted
  FROM reached
 CROSS JOIN LATERAL (
       SELECT domain, state, is_deleted
         FROM job_copy
        WHERE org = (SELECT $1::text) AND gen = (SELECT gen FROM live) AND copy_id = (SELECT $2::integer) AND job_id = reached.id
       OFFSET 0) AS c
 WHERE NOT reached.is_asked AND c.state <> 'not_to_be_copied' AND ($4::text[] IS NULL OR c.domain = ANY ($4::text[]))
 ORDER BY reached.id;

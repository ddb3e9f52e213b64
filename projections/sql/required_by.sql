-- By whom jobs are required on a copy: those that are there, or to be copied there, and not deleted, or among $5.
--   $1 org text    $2 copy id integer    $3 job ids integer[]    $4 domains text[] or null for all    $5 job ids integer[]
-- Returns id (one of $3), required_by: at most 1,000 ids with commas between them; no row where there is none.
WITH live AS MATERIALIZED (
  SELECT (projections -> 'job_copies' ->> 'gen')::integer AS gen FROM ledger_head WHERE org = (SELECT $1::text)
)
SELECT asked.id, string_agg(r.job_id::text, ',' ORDER BY r.job_id) AS required_by
  FROM unnest($3::integer[]) AS asked (id)
 CROSS JOIN LATERAL (
       SELECT q.job_id
         FROM (SELECT job_id
                 FROM job_requirement
                WHERE org = (SELECT $1::text) AND gen = (SELECT gen FROM live) AND required_id = asked.id
                ORDER BY org, gen, required_id, job_id
               OFFSET 0) AS q
        CROSS JOIN LATERAL (
              SELECT domain, state, is_deleted
                FROM job_copy
               WHERE org = (SELECT $1::text) AND gen = (SELECT gen FROM live) AND copy_id = (SELECT $2::integer)
                 AND job_id = q.job_id
              OFFSET 0) AS c
        WHERE (NOT c.is_deleted OR q.job_id IN (SELECT undeleted.id FROM unnest($5::integer[]) AS undeleted (id)))
          AND c.state <> 'not_to_be_copied' AND ($4::text[] IS NULL OR c.domain = ANY ($4::text[]))
        LIMIT 1000) AS r
 GROUP BY asked.id;

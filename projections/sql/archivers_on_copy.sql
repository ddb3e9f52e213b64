-- The archiver jobs on a copy of the subclients that some jobs there are of.
--   $1 org text    $2 copy id integer    $3 job ids integer[]    $4 domains text[] or null for all
-- Returns id, is_deleted. An archiver job is none of its own.
WITH live AS MATERIALIZED (
  SELECT (projections -> 'job_copies' ->> 'gen')::integer AS gen FROM ledger_head WHERE org = (SELECT $1::text)
)
SELECT archiver.job_id AS id, archiver.is_deleted
  FROM (SELECT subclient_id, CASE WHEN count(*) = 1 THEN min(job_id) END AS only_id
          FROM job_copy
         WHERE org = (SELECT $1::text) AND gen = (SELECT gen FROM live) AND copy_id = (SELECT $2::integer)
           AND job_id = ANY ($3::integer[]) AND subclient_id > 0
         GROUP BY subclient_id) AS asked
 CROSS JOIN LATERAL (
       SELECT job_id, domain, state, is_deleted
         FROM job_copy
        WHERE org = (SELECT $1::text) AND gen = (SELECT gen FROM live) AND copy_id = (SELECT $2::integer)
          AND subclient_id = asked.subclient_id AND level = 'Archive'
       OFFSET 0) AS archiver
 WHERE archiver.state <> 'not_to_be_copied' AND archiver.job_id IS DISTINCT FROM asked.only_id
   AND ($4::text[] IS NULL OR archiver.domain = ANY ($4::text[]))
 ORDER BY archiver.job_id;

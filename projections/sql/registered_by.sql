-- Who registered some jobs, and what the ledger has to do of them itself.
--   $1 org text    $2 ids integer[]
-- Returns id, by, work.
SELECT j.id, e.header::json ->> 'by' AS by, j.decisions::json ->> 'work' AS work
  FROM (SELECT job.id, job.decisions
          FROM job
         WHERE org = (SELECT $1::text)
           AND gen = (SELECT (projections -> 'jobs' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
           AND id = ANY ($2::integer[])) AS j
 CROSS JOIN LATERAL (
       SELECT convert_from(header, 'UTF8') AS header
         FROM event
        WHERE org = (SELECT $1::text) AND stream = 'job-' || j.id AND version = 1
       OFFSET 0) AS e;

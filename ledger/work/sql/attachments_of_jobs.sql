-- What is attached to some jobs, with what their events recorded of it.
--   $1 org text    $2 job ids integer[]
-- Returns job_id, id, size_bytes, sha256 text; in the order of job and id.
SELECT a.job_id, a.id, a.size_bytes, j.decisions::json -> 'attachments' -> a.id::text ->> 'sha256' AS sha256
  FROM unnest($2::integer[]) AS u (job_id)
 CROSS JOIN LATERAL (
       SELECT job_id, id, size_bytes FROM attachment WHERE org = (SELECT $1::text) AND job_id = u.job_id OFFSET 0) AS a
 CROSS JOIN LATERAL (
       SELECT decisions
         FROM job
        WHERE org = (SELECT $1::text)
          AND gen = (SELECT (projections -> 'jobs' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
          AND id = u.job_id
       OFFSET 0) AS j
 WHERE j.decisions::json -> 'attachments' -> a.id::text ->> 'sha256' IS NOT NULL
 ORDER BY a.job_id, a.id;
